// CudaOps through the cases of op_cases.h, on GPU 0. Without a GPU every test is skipped, loudly.
// Bits need not be equal over batches here (cuBLASLt chooses by shape), but must be over runs.
#include "kernels/cuda/cuda_ops.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/dummy_values.h"
#include "tests/kernels/device_tensor.h"
#include "tests/kernels/op_cases.h"
#include "tests/kernels/quantized_tensor.h"

namespace regatta {
namespace {

// One for all tests: opening a device takes longer than most of them. Null without a GPU.
Ops* SharedOps(std::string* why) {
  static std::string error;
  static const std::unique_ptr<Ops> ops = MakeCudaOps(0, &error);
  *why = error;
  return ops.get();
}

#define REGATTA_OPS_OR_SKIP(ops)      \
  std::string why_skipped;            \
  Ops* ops = SharedOps(&why_skipped); \
  if (ops == nullptr) GTEST_SKIP() << "NO GPU, NOTHING TESTED: " << why_skipped

class CudaOpsTest : public testing::TestWithParam<OpCase> {};

TEST_P(CudaOpsTest, MatchesReference) {
  REGATTA_OPS_OR_SKIP(ops);
  SCOPED_TRACE("seed " + std::to_string(TestSeed()));
  GetParam().check(*ops);
  std::string error;
  EXPECT_TRUE(ops->Sync(&error)) << error;
}

#define REGATTA_INSTANTIATE(Cases)                    \
  INSTANTIATE_TEST_SUITE_P(                           \
      Cases, CudaOpsTest, testing::ValuesIn(Cases()), \
      [](const testing::TestParamInfo<OpCase>& info) { return info.param.name; })
REGATTA_INSTANTIATE(ElementwiseCases);
REGATTA_INSTANTIATE(WeightCases);
REGATTA_INSTANTIATE(LinearCases);
REGATTA_INSTANTIATE(QuantizedCases);
REGATTA_INSTANTIATE(RopeCases);
REGATTA_INSTANTIATE(AttentionCases);
REGATTA_INSTANTIATE(MoeCases);
REGATTA_INSTANTIATE(SampleCases);
REGATTA_INSTANTIATE(AddingCases);
REGATTA_INSTANTIATE(CoarseCases);
REGATTA_INSTANTIATE(WideCases);
REGATTA_INSTANTIATE(RotatedDecodingCases);

// The products that our own kernels take, through them.
class CudaOwnTest : public testing::TestWithParam<OpCase> {};

TEST_P(CudaOwnTest, MatchesReference) {
  REGATTA_OPS_OR_SKIP(ops);
  SCOPED_TRACE("seed " + std::to_string(TestSeed()));
  UseOwnProducts(*ops, OwnUse::kAlways);
  GetParam().check(*ops);
  std::string error;
  EXPECT_TRUE(ops->Sync(&error)) << error;
  UseOwnProducts(*ops, OwnUse::kMeasured);
}

#define REGATTA_INSTANTIATE_OWN(Cases)                \
  INSTANTIATE_TEST_SUITE_P(                           \
      Cases, CudaOwnTest, testing::ValuesIn(Cases()), \
      [](const testing::TestParamInfo<OpCase>& info) { return info.param.name; })
REGATTA_INSTANTIATE_OWN(SkinnyCases);
REGATTA_INSTANTIATE_OWN(LinearCases);
REGATTA_INSTANTIATE_OWN(QuantizedCases);
REGATTA_INSTANTIATE_OWN(AddingCases);
REGATTA_INSTANTIATE_OWN(CoarseCases);

// Products of many tokens, dealt out to all multiprocessors and to so few that each has several
// tiles.
class CudaWideTest : public testing::TestWithParam<std::tuple<int, OpCase>> {};

TEST_P(CudaWideTest, MatchesReference) {
  REGATTA_OPS_OR_SKIP(ops);
  SCOPED_TRACE("seed " + std::to_string(TestSeed()));
  if (!HasOwnProducts(*ops)) GTEST_SKIP() << "NO HOPPER, NOTHING TESTED";
  const auto& [multiprocessors, op_case] = GetParam();
  UseOwnProducts(*ops, OwnUse::kAlways, multiprocessors);
  const uint64_t before = OwnProductsTaken(*ops);
  op_case.check(*ops);
  std::string error;
  EXPECT_TRUE(ops->Sync(&error)) << error;
  EXPECT_EQ(OwnProductsTaken(*ops), before + 1) << "taken by cuBLASLt";
  UseOwnProducts(*ops, OwnUse::kMeasured);
}

std::string WideName(const testing::TestParamInfo<std::tuple<int, OpCase>>& info) {
  return CaseName(std::get<1>(info.param).name, "on", std::get<0>(info.param));
}

INSTANTIATE_TEST_SUITE_P(WideCases, CudaWideTest,
                         testing::Combine(testing::Values(0, 4), testing::ValuesIn(WideCases())),
                         WideName);

// Where a token's bits may depend on nothing but itself.
class CudaDeterministicTest : public testing::TestWithParam<OpCase> {};

TEST_P(CudaDeterministicTest, Holds) {
  REGATTA_OPS_OR_SKIP(ops);
  SCOPED_TRACE("seed " + std::to_string(TestSeed()));
  ops->SetDeterministic(true);
  GetParam().check(*ops);
  std::string error;
  EXPECT_TRUE(ops->Sync(&error)) << error;
  ops->SetDeterministic(false);
}

#define REGATTA_INSTANTIATE_DETERMINISTIC(Cases)                \
  INSTANTIATE_TEST_SUITE_P(                                     \
      Cases, CudaDeterministicTest, testing::ValuesIn(Cases()), \
      [](const testing::TestParamInfo<OpCase>& info) { return info.param.name; })
REGATTA_INSTANTIATE_DETERMINISTIC(InvarianceCases);
REGATTA_INSTANTIATE_DETERMINISTIC(LinearCases);
REGATTA_INSTANTIATE_DETERMINISTIC(AttentionCases);
REGATTA_INSTANTIATE_DETERMINISTIC(AddingCases);
REGATTA_INSTANTIATE_DETERMINISTIC(CoarseCases);

TEST(CudaOps, TheSameBitsInEveryRun) {
  REGATTA_OPS_OR_SKIP(ops);
  for (const DType dtype : kActivationTypes) {
    const std::vector<uint8_t> want = LayerBits(*ops, dtype);
    for (int run = 0; run < 5; ++run) EXPECT_EQ(LayerBits(*ops, dtype), want) << DTypeName(dtype);
  }
}

// Long sums of few outputs are split, and more tokens than partial sums have room for come in
// pieces.
TEST(CudaOps, DeterministicRowsKeepTheirBitsWhereSumsAreSplit) {
  REGATTA_OPS_OR_SKIP(ops);
  constexpr int64_t kRows = 6000, kIn = 8192, kOut = 1024;
  Random random(TestSeed());
  std::vector<TestWeight> weights;
  weights.push_back(NormalWeight(*ops, DType::kBFloat16, kOut, kIn, random));
  for (const WeightForm form : kWeightForms) {
    weights.push_back(QuantizedWeight(*ops, form, kOut, kIn, random));
  }
  const DeviceTensor x(*ops, DType::kBFloat16, {kRows, kIn});
  ops->FillDummy(x, {.key = TestSeed(), .pitch = kIn, .deviation = 1});
  const auto product = [&](const Weight& weight, int64_t first, int64_t count) {
    const Tensor rows = x.tensor().Rows(first, count);
    const int64_t written = (count + kGroupRows - 1) / kGroupRows * kGroupRows;
    const DeviceTensor memory(*ops, DType::kBFloat16, {written, kOut});
    const Tensor out = memory.tensor().Rows(0, count);
    if (weight.input == ActivationFormat::kPlain) {
      ops->Linear(rows, weight, Tensor{}, out);
    } else {
      const QuantizedActivation quantized(*ops, weight.input, count, kIn);
      ops->Quantize(rows, quantized);
      ops->Linear(quantized, weight, Tensor{}, out);
    }
    std::vector<uint8_t> bits = memory.Bits();
    bits.resize(count * kOut * SizeOf(DType::kBFloat16));
    return bits;
  };
  ops->SetDeterministic(true);
  for (const auto& [weight, values] : weights) {
    const std::vector<uint8_t> whole = product(*weight, 0, kRows);
    for (const auto& [first, count] : std::vector<std::pair<int64_t, int64_t>>{
             {0, 1}, {5999, 1}, {700, 64}, {101, 130}, {1000, 4100}}) {
      const std::vector<uint8_t> part = product(*weight, first, count);
      const auto there = whole.begin() + static_cast<int64_t>(whole.size()) / kRows * first;
      EXPECT_TRUE(std::equal(part.begin(), part.end(), there))
          << FormatName(weight->input) << ": " << count << " rows from row " << first;
    }
  }
  ops->SetDeterministic(false);
}

// A whole layer in float32, where rounding moves no token to another expert.
TEST(CudaOps, ALayerAgreesWithTheCpu) {
  REGATTA_OPS_OR_SKIP(ops);
  const auto values = [](const std::vector<uint8_t>& bits) {
    std::vector<double> decoded;
    for (size_t i = 0; i < bits.size(); i += sizeof(float)) {
      decoded.push_back(DecodeElement(bits.data() + i, DType::kFloat32));
    }
    return decoded;
  };
  const std::unique_ptr<Ops> cpu = MakeCpuOps(2);
  ExpectNear(values(LayerBits(*ops, DType::kFloat32)), values(LayerBits(*cpu, DType::kFloat32)),
             1e-4, 1e-4, "layer");
}

// Of one rank and more tokens than our kernel for few takes, unless scales are within the depth.
TEST(CudaOps, CublasLtAddsProductsToTheResidual) {
  REGATTA_OPS_OR_SKIP(ops);
  if (!HasOwnProducts(*ops)) GTEST_SKIP() << "NO HOPPER, NOTHING TESTED";
  const auto added_in = [&](const OpCase& op_case, OwnUse use) {
    UseOwnProducts(*ops, use);
    const uint64_t before = AddingProductsTaken(*ops);
    op_case.check(*ops);
    return AddingProductsTaken(*ops) - before;
  };
  int alone = 0, grouped = 0;
  for (const OpCase& op_case : AddingCases()) {
    const bool one_rank = op_case.name.ends_with("_300_of_1");
    if (!one_rank && !op_case.name.ends_with("_300_of_2")) continue;
    const bool blocks = op_case.name.find(FormName(WeightForm::kBlock)) != std::string::npos;
    EXPECT_EQ(added_in(op_case, OwnUse::kAlways), one_rank && !blocks ? 1u : 0u) << op_case.name;
    EXPECT_EQ(added_in(op_case, OwnUse::kNever), 0u) << op_case.name;
    ++(one_rank ? alone : grouped);
  }
  EXPECT_GT(alone, 3);
  EXPECT_EQ(alone, grouped);
  UseOwnProducts(*ops, OwnUse::kMeasured);
}

// The bits of an MLP of 200 tokens, whose products may run in several ways.
std::vector<uint8_t> MlpBits(Ops& ops) {
  constexpr int64_t kTokens = 200, kHidden = 512, kWidth = 1024;
  Random random(TestSeed());
  ReserveForCases(ops);
  const TestWeight gate_up = NormalWeight(ops, DType::kBFloat16, 2 * kWidth, kHidden, random);
  const TestWeight down = NormalWeight(ops, DType::kBFloat16, kHidden, kWidth, random);
  const auto make = [&](int64_t width) {
    return DeviceTensor::Normal(ops, DType::kBFloat16, {kTokens, width}, random);
  };
  const DeviceTensor x = make(kHidden), between = make(2 * kWidth), activated = make(kWidth);
  const DeviceTensor residual = make(kHidden), delta = make(kHidden), out = make(kHidden);
  const DeviceTensor norm = DeviceTensor::Normal(ops, DType::kBFloat16, {kHidden}, random);
  OneRank alone;
  ops.GatedProduct(x, *gate_up.weight, between, activated);
  ops.LinearReduceAddNorm(activated, *down.weight, alone, residual, delta, norm, 1e-5f, out);
  return out.Bits();
}

TEST(CudaOps, WhatWasTunedRunsAlikeWhereItIsImported) {
  REGATTA_OPS_OR_SKIP(shared);
  std::string error;
  const std::unique_ptr<Ops> tuned = MakeCudaOps(0, &error), other = MakeCudaOps(0, &error);
  ASSERT_TRUE(tuned != nullptr && other != nullptr) << error;
  tuned->SetTuning(true);
  MlpBits(*tuned);
  tuned->SetTuning(false);
  const std::string choices = tuned->ExportTuning();
  ASSERT_TRUE(other->ImportTuning(choices));
  EXPECT_EQ(other->ExportTuning(), choices);
  const uint64_t added_before = AddingProductsTaken(*tuned);
  EXPECT_EQ(MlpBits(*other), MlpBits(*tuned));
  EXPECT_EQ(AddingProductsTaken(*other), AddingProductsTaken(*tuned) - added_before);
  std::string older = choices;
  older.at(older.find(',') - 1) = '3';
  EXPECT_FALSE(other->ImportTuning(older));
  EXPECT_FALSE(other->ImportTuning(choices.substr(0, choices.size() - 1)));
}

TEST(CudaOps, MemoryIsZeroedAndAligned) {
  REGATTA_OPS_OR_SKIP(ops);
  for (const size_t size : {size_t{1}, size_t{1000}, size_t{10} << 20}) {
    const Buffer buffer = ops->Allocate(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 256, 0u);
    std::vector<char> bytes(size, 1);
    ops->CopyToHost(bytes.data(), buffer.data(), size);
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; }));
  }
}

TEST(CudaOps, AnImpossibleAllocationGivesAnEmptyBuffer) {
  REGATTA_OPS_OR_SKIP(ops);
  EXPECT_EQ(ops->Allocate(size_t{1} << 60).data(), nullptr);
  std::string error;
  EXPECT_TRUE(ops->Sync(&error)) << error;
}

TEST(CudaOps, ADeviceThatDoesNotExistIsNamed) {
  std::string error;
  EXPECT_EQ(MakeCudaOps(1000, &error), nullptr);
  EXPECT_NE(error.find("1000"), std::string::npos) << error;
}

}  // namespace
}  // namespace regatta
