// Every operation of kernels/ops.h against a reference in float64, as checks of any Ops: each
// backend's test runs the same cases.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace regatta {

struct OpCase {
  std::string name;                 // letters, digits and underscores
  std::function<void(Ops&)> check;  // reports through GoogleTest
};

inline void PrintTo(const OpCase& op_case, std::ostream* out) { *out << op_case.name; }

std::vector<OpCase> ElementwiseCases();  // embedding, gather, norms, SiluMul, AddScaled
std::vector<OpCase> WeightCases();       // filling, preparing and uploading weights
std::vector<OpCase> LinearCases();
std::vector<OpCase> QuantizedCases();  // E4M3 activations and weights
// Linear of few tokens. Rows do not depend on one another where our own products are used.
std::vector<OpCase> SkinnyCases();
// Products of more tokens than that, alone and with their gate.
std::vector<OpCase> WideCases();
std::vector<OpCase> AddingCases();  // LinearReduceAddNorm
std::vector<OpCase> RopeCases();
std::vector<OpCase> AttentionCases();
std::vector<OpCase> MoeCases();
std::vector<OpCase> SampleCases();
std::vector<OpCase> CoarseCases();  // the other composed operations
// Attention that rotates and caches in one launch, of backends that have it.
std::vector<OpCase> RotatedDecodingCases();

// Bitwise promises of a deterministic backend: a row does not depend on its batch, nor on prompt
// chunks.
std::vector<OpCase> InvarianceCases();

inline const std::vector<DType> kActivationTypes = {DType::kFloat32, DType::kBFloat16,
                                                    DType::kFloat16};

// One rank, which has nobody to sum with.
class OneRank final : public Reducer {
 public:
  int size() const override { return 1; }
  void AllReduceSum(const Tensor&) override { CHECK(false) << "a sum of one rank"; }
};

// The output bits of a layer (attention, MLP, experts) over a mixed batch: the same for any number
// of threads.
std::vector<uint8_t> LayerBits(Ops& ops, DType dtype);

// Reserve for the largest case of the tables above, which share these limits.
inline constexpr int kCaseMaxTokens = 360;
inline constexpr int kCaseMaxRows = 1000;
inline constexpr int kCaseMaxVocab = 4096;
void ReserveForCases(Ops& ops);

// "linear", 3, "bf16" -> "linear_3_bf16"
template <typename... Parts>
std::string CaseName(const std::string& first, const Parts&... parts) {
  std::ostringstream name;
  name << first;
  ((name << '_' << parts), ...);
  return name.str();
}

}  // namespace regatta
