// Admission: how many sequences may run at once without running out of blocks. Reserving prompt +
// max_tokens for each would serialise when max_tokens is missing; admitting blindly would thrash.
// So lengths are forecast from those observed, and sequences are admitted while the forecast peak
// of block use stays under the pool. Pure; knows lengths and token counts, no sequence and no
// block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace regatta {

// Forecasts how many tokens a sequence will generate: like a recently ended one that got at least
// as far. The population of forecasts has the spread of the observed lengths, whatever their
// distribution.
class LengthModel {
 public:
  // Until lengths have been observed they count as exponential with this mean, in tokens: a wide
  // guess.
  explicit LengthModel(uint32_t expected_outputs);

  // A sequence ended with `outputs` tokens; `reached_bound` when the request's own max_tokens ended
  // it.
  void Observe(uint32_t outputs, bool reached_bound);

  // Forecast of the final number of output tokens, in (outputs, bound]. `bound` is the most it can
  // reach; `bounded` when that is the request's own max_tokens. Different `draw`s pick different
  // observed sequences, evenly.
  uint32_t Predict(uint64_t draw, uint32_t outputs, uint32_t bound, bool bounded) const;

  // Expected final number of output tokens of a sequence that has none yet, in [1, bound].
  uint32_t Mean(uint32_t bound, bool bounded) const;

 private:
  struct Observation {
    uint32_t outputs;
    bool reached_bound;
  };
  void Count(const Observation& observation, int sign);

  std::vector<Observation> window_;  // the newest ones; begins with a prior that is replaced first
  size_t oldest_ = 0;
  // Over the window: those that stopped by themselves, and all.
  uint64_t stopped_ = 0, stopped_outputs_ = 0, all_outputs_ = 0;
};

// Peak of future memory use, in tokens. Each running sequence grows by one token a step until it
// ends and gives everything back, so use has its maxima just before sequences end. Ends are
// gathered in buckets of an eighth of an octave.
class MemoryForecast {
 public:
  MemoryForecast();
  // Forgets all sequences. `fixed` tokens stay in use for ever.
  void Reset(uint64_t fixed);
  // A sequence that holds `held` tokens and ends after `remaining` more.
  void Add(uint64_t held, uint32_t remaining);
  // Largest use from now on if one more such sequence ran; `held` 0 and `remaining` 0 for the peak
  // as it is.
  uint64_t PeakWith(uint64_t held, uint32_t remaining) const;

 private:
  struct Bucket {
    uint64_t count = 0, held = 0, remaining = 0;
  };
  uint64_t fixed_ = 0;
  size_t used_buckets_ = 0;  // those from here on are empty
  std::vector<Bucket> buckets_;
};

// The fraction of the pool that forecasts must leave free: grows with every preemption, decays with
// every step without one.
class SafetyMargin {
 public:
  void OnPreemption();
  void OnStep();
  double fraction() const { return fraction_; }

 private:
  double fraction_ = 0;
};

}  // namespace regatta
