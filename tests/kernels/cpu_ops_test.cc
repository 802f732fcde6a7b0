// CpuOps through the cases of op_cases.h: on one thread with every instruction set that this CPU
// has, and on three threads.
#include "kernels/cpu/cpu_ops.h"

#include <gtest/gtest.h>

#include "tests/kernels/device_tensor.h"
#include "tests/kernels/op_cases.h"

namespace regatta {
namespace {

struct CpuVariant {
  VectorIsa isa;
  int num_threads;
};

std::vector<CpuVariant> Variants() {
  std::vector<CpuVariant> variants;
  for (const VectorIsa isa : {VectorIsa::kBaseline, VectorIsa::kAvx2, VectorIsa::kAvx512}) {
    if (isa <= HostVectorIsa()) variants.push_back({isa, 1});
  }
  variants.push_back({HostVectorIsa(), 3});
  return variants;
}

class CpuOpsTest : public testing::TestWithParam<std::tuple<CpuVariant, OpCase>> {};

TEST_P(CpuOpsTest, MatchesReference) {
  const auto& [variant, op_case] = GetParam();
  SCOPED_TRACE("seed " + std::to_string(TestSeed()));
  CpuOps ops(variant.num_threads, variant.isa);
  op_case.check(ops);
}

std::string NameOf(const testing::TestParamInfo<CpuOpsTest::ParamType>& info) {
  const auto& [variant, op_case] = info.param;
  return CaseName(op_case.name, VectorIsaName(variant.isa), "threads", variant.num_threads);
}

#define REGATTA_INSTANTIATE(Cases) \
  INSTANTIATE_TEST_SUITE_P(        \
      Cases, CpuOpsTest,           \
      testing::Combine(testing::ValuesIn(Variants()), testing::ValuesIn(Cases())), NameOf)
REGATTA_INSTANTIATE(ElementwiseCases);
REGATTA_INSTANTIATE(WeightCases);
REGATTA_INSTANTIATE(LinearCases);
REGATTA_INSTANTIATE(QuantizedCases);
REGATTA_INSTANTIATE(SkinnyCases);
REGATTA_INSTANTIATE(RopeCases);
REGATTA_INSTANTIATE(AttentionCases);
REGATTA_INSTANTIATE(MoeCases);
REGATTA_INSTANTIATE(SampleCases);
REGATTA_INSTANTIATE(AddingCases);
REGATTA_INSTANTIATE(CoarseCases);
REGATTA_INSTANTIATE(InvarianceCases);
// Large, and the same for every variant: once.
INSTANTIATE_TEST_SUITE_P(WideCases, CpuOpsTest,
                         testing::Combine(testing::Values(Variants().back()),
                                          testing::ValuesIn(WideCases())),
                         NameOf);

TEST(CpuOps, AnyNumberOfThreadsGivesTheSameBits) {
  for (const DType dtype : kActivationTypes) {
    CpuOps one(1, HostVectorIsa());
    const std::vector<uint8_t> want = LayerBits(one, dtype);
    for (const int threads : {2, 3, 8}) {
      CpuOps many(threads, HostVectorIsa());
      EXPECT_EQ(LayerBits(many, dtype), want) << threads << " threads, " << DTypeName(dtype);
    }
  }
}

TEST(CpuOps, MemoryIsZeroedAndAligned) {
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  for (const size_t size : {size_t{1}, size_t{1000}, size_t{10} << 20}) {
    const Buffer buffer = ops->Allocate(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 256, 0u);
    EXPECT_EQ(buffer.num_bytes(), size);
    const auto* bytes = static_cast<const char*>(buffer.data());
    EXPECT_TRUE(std::all_of(bytes, bytes + size, [](char byte) { return byte == 0; }));
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they abort on exhaustion
TEST(CpuOps, AnImpossibleAllocationGivesAnEmptyBuffer) {
  const std::unique_ptr<Ops> ops = MakeCpuOps(1);
  EXPECT_EQ(ops->Allocate(size_t{1} << 60).data(), nullptr);
}
#endif

TEST(CpuOpsDeathTest, WorkBeyondReserveIsOurBug) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  CpuOps ops(1, HostVectorIsa());
  Random random(TestSeed());
  const TestWeight weight = NormalWeight(ops, DType::kBFloat16, 8, 8, random);
  const DeviceTensor x = DeviceTensor::Normal(ops, DType::kBFloat16, {4, 8}, random);
  const DeviceTensor out(ops, DType::kBFloat16, {4, 8});
  EXPECT_DEATH(ops.Linear(x, *weight.weight, Tensor{}, out), "beyond Reserve");
}

}  // namespace
}  // namespace regatta
