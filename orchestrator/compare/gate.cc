// Reading and judging conditions; see gate.h.
#include "orchestrator/compare/gate.h"

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/check.h"

namespace regatta {
namespace {

constexpr double kLargestChange = 10'000;  // percent

absl::Status Bad(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("--fail-if '", text, "': ", what));
}

}  // namespace

absl::StatusOr<Gate> ParseGate(absl::string_view text) {
  Gate gate;
  gate.text = absl::StrReplaceAll(text, {{" ", ""}});
  const size_t sign = gate.text.find_first_of("<>");
  if (sign == std::string::npos) {
    return Bad(text, "write METRIC<CHANGE% or METRIC>CHANGE%, as in output_throughput<-3%");
  }
  const std::string name = gate.text.substr(0, sign);
  gate.metric = FindComparedMetric(name);
  if (gate.metric == nullptr) {
    return Bad(text, absl::StrCat("'", name, "' is none of ", ComparedMetricNames()));
  }
  gate.below = gate.text[sign] == '<';
  absl::string_view change = absl::string_view(gate.text).substr(sign + 1);
  if (!absl::ConsumeSuffix(&change, "%")) {
    return Bad(text, absl::StrCat("'", change, "' must end in %: it is the change of B against A"));
  }
  double percent = 0;
  if (!absl::SimpleAtod(change, &percent) || !(percent > -100 && percent <= kLargestChange)) {
    return Bad(
        text, absl::StrCat("'", change, "' must be a number above -100, at most ", kLargestChange));
  }
  gate.limit = 1 + percent / 100;
  return gate;
}

double ConfidenceOfEach(size_t judgements) {
  CHECK_GE(judgements, 1u);
  return 1 - (1 - kConfidence) / judgements;
}

GateOutcome Decide(const Gate& gate, const Effect& effect) {
  if (!effect.interval.has_value()) return GATE_NOT_JUDGED;
  const auto [low, high] = *effect.interval;
  if (gate.below ? high < gate.limit : low > gate.limit) return GATE_HOLDS;
  if (gate.below ? low >= gate.limit : high <= gate.limit) return GATE_EXCLUDED;
  return GATE_OPEN;
}

}  // namespace regatta
