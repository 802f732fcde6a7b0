// How far two systems differ in one figure. Pure.
#pragma once

#include <optional>

#include "absl/types/span.h"
#include "proto/comparison.pb.h"

namespace regatta {

// The effect is a ratio, B / A, because a change of a system is one ("5 % faster") whatever the
// load and the unit, and because it says what users pay for; a standardised difference (Hedges' g)
// would say how quiet the machine was (Kalibera and Jones 2013). Ratios are averaged as ratios: by
// their geometric mean (Fleming and Wallace 1986).
struct Effect {
  struct Bounds {
    double low = 0;
    double high = 0;
  };
  double ratio = 1;
  std::optional<Bounds> interval;  // none with too few runs
  double confidence = 0;           // of the interval, 0..1; 0 without one
};

// Of runs measured one right after the other, b[i] beside a[i], all above 0; as many of both, at
// least one. exp(m -+ t_{n-1} s / sqrt(n)) with mean m and deviation s of ln(b[i] / a[i]) (Student
// 1908); an interval from two pairs on.
Effect PairedEffect(absl::Span<const double> a, absl::Span<const double> b, double confidence);

// Of runs that have nothing to do with one another, at least one of each, all above 0: Welch's t
// over the logarithms with Satterthwaite's degrees of freedom (Welch 1947); an interval from two
// runs of each on.
Effect UnpairedEffect(absl::Span<const double> a, absl::Span<const double> b, double confidence);

// What the interval says: the same when all of it is within a factor of 1 + margin around 1 (two
// one-sided tests, Schuirmann 1987), else better or worse when 1 is not in it, else unclear.
Verdict Judge(const Effect& effect, bool higher_is_better, double margin);

}  // namespace regatta
