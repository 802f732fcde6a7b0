// OutputConstraint: which tokens may come next in one sequence. The seam between grammars, which
// know JSON, and the engine, which knows masks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/inference.pb.h"

namespace regatta {

inline constexpr size_t kMaxSchemaBytes = size_t{64} << 10;  // of one JSON Schema

// Work of masks is counted in visits of automaton states or of nodes of the tokens' tree, some
// nanoseconds each. More than one mask ever takes:
inline constexpr uint64_t kAnyMaskWork = uint64_t{1} << 40;

// What a mask cost.
struct MaskCost {
  uint64_t work = 0;
  // The work allowed did not suffice: tokens that may come are missing. Filling the mask again goes
  // on from what is known by now.
  bool cut = false;
};

// The state of one sequence: where its output stands. One thread at a time.
class OutputConstraint {
 public:
  virtual ~OutputConstraint() = default;
  // Sets bit i % 32 of mask[i / 32] for every token id i that may come next, clears all others.
  // `mask` has (vocab_size + 31) / 32 words. At least one token may always come: where the output
  // is complete these are the end tokens. About `work` may be spent on it.
  virtual MaskCost FillMask(absl::Span<uint32_t> mask, uint64_t work) = 0;
  // Takes the next token. False when it may not come (then the state is unchanged).
  virtual bool Accept(uint32_t token) = 0;
  // Not OK: a mask or a token needs more work than is allowed, so that the sequence must fail, it
  // alone. INVALID_ARGUMENT names the limit.
  virtual absl::Status status() const { return absl::OkStatus(); }
};

// Compiles constraints, off the threads that ask. Keeps the newest compiled grammars (bounded in
// number and bytes), so that a schema is compiled once. Thread-safe.
class ConstraintCompiler {
 public:
  // Called once, from a compiler thread or at once from within Compile. INVALID_ARGUMENT names the
  // part of the schema that is wrong or not supported, or the limit of size or time that it
  // exceeds: it will fail again; RESOURCE_EXHAUSTED: too many wait.
  using Done = std::function<void(absl::StatusOr<std::unique_ptr<OutputConstraint>>)>;

  virtual ~ConstraintCompiler() = default;
  virtual void Compile(const Constraint& constraint, Done done) = 0;
};

}  // namespace regatta
