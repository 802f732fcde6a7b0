// Weights on their way to a backend: dummy values bit by bit, matrices of host and device memory,
// uploads larger than any bounce buffer.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/dummy_values.h"
#include "tests/kernels/device_tensor.h"
#include "tests/kernels/op_cases.h"

namespace regatta {
namespace {

// Sums of four bytes by element number, from another implementation of the formula.
void CheckPinnedValues(Ops& ops) {
  struct Pinned {
    uint64_t key, index;
    int sum;
  };
  constexpr Pinned kPinned[] = {
      {42, 0, 478},
      {42, 1, 529},
      {42, 2, 541},
      {42, 3, 492},
      {42, 1000003, 378},
      {42, (uint64_t{1} << 33) + 5, 242},
      {0xfedcba9876543210, 0, 591},
      {0xfedcba9876543210, 3, 682},
  };
  for (const Pinned& pinned : kPinned) {
    const DeviceTensor out(ops, DType::kFloat32, {1, 1});
    ops.FillDummy(out, {pinned.key, pinned.index, 1, 0.5f});
    EXPECT_EQ(out.Read()[0], (static_cast<float>(pinned.sum) - 510.0f) / 147.8f * 0.5f);
  }
}

// Rectangles of a larger tensor, also beyond 2^32 elements, into matrices of any stride.
void CheckFillDummy(Ops& ops, DType dtype, int64_t rows, int64_t columns) {
  Random random(TestSeed());
  for (const float deviation : {0.0f, 0.02f, 1 / 64.0f}) {
    const DummyValues values = {random(), (uint64_t{1} << 32) - 5 + random() % 7,
                                static_cast<uint64_t>(columns) + random() % 3, deviation};
    const DeviceTensor out(ops, dtype, {rows, columns}, columns + 3);
    ops.FillDummy(out, values);
    std::vector<uint8_t> want(rows * columns * SizeOf(dtype));
    FillDummyOnHost(Tensor::Of(want.data(), dtype, rows, columns), values);
    EXPECT_EQ(out.Bits(), want) << "deviation " << deviation;
  }
}

void CheckFillDummyVector(Ops& ops) {
  const DeviceTensor out(ops, DType::kBFloat16, {1000});
  const DummyValues values = {9, 3, 1, 0.02f};
  ops.FillDummy(out, values);
  std::vector<uint8_t> want(2000);
  FillDummyOnHost(Tensor::Of(want.data(), DType::kBFloat16, 1000), values);
  EXPECT_EQ(out.Bits(), want);
}

// Column `column` of a prepared matrix: the product with a unit vector.
std::vector<double> ReadColumn(Ops& ops, const Weight& weight, DType dtype, int64_t column) {
  ReserveForCases(ops);
  DeviceTensor x(ops, dtype, {1, weight.in_features});
  std::vector<double> unit(weight.in_features);
  unit[column] = 1;
  x.Write(unit);
  const DeviceTensor out(ops, dtype, {1, weight.out_features});
  ops.Linear(x, weight, Tensor{}, out);
  return out.Read();
}

// A matrix made in the backend's own memory, with a stride, is the weight that the host's would be.
void CheckPrepareFromDevice(Ops& ops, DType dtype) {
  const int64_t out_features = 37, in = 70;
  Random random(TestSeed());
  const DeviceTensor matrix =
      DeviceTensor::Normal(ops, dtype, {out_features, in}, random, 1, in + 6);
  const std::unique_ptr<Weight> weight = ops.Prepare(matrix, WeightUse::kLinear);
  ASSERT_NE(weight, nullptr);
  const std::vector<double> values = matrix.Read();
  for (const int64_t column : {int64_t{0}, int64_t{33}, in - 1}) {
    std::vector<double> want;
    for (int64_t row = 0; row < out_features; ++row) want.push_back(values[row * in + column]);
    EXPECT_EQ(ReadColumn(ops, *weight, dtype, column), want);
  }
}

// Larger than two bounce buffers of 32 MiB, from strided host memory that changes on return.
void CheckLargePrepare(Ops& ops) {
  const DType dtype = DType::kBFloat16;
  const int64_t rows = 9001, in = 4104, stride = in + 11;
  std::vector<uint16_t> host(rows * stride);
  const Tensor whole = Tensor::Of(host.data(), dtype, rows, stride);
  const DummyValues values = {TestSeed(), 0, static_cast<uint64_t>(stride), 1};
  FillDummyOnHost(whole, values);
  const std::unique_ptr<Weight> weight = ops.Prepare(whole.Columns(0, in), WeightUse::kLinear);
  ASSERT_NE(weight, nullptr);
  std::fill(host.begin(), host.end(), uint16_t{0x7fff});  // NaN
  for (const int64_t column : {int64_t{0}, int64_t{2049}, in - 1}) {
    std::vector<uint16_t> want(rows);
    DummyValues of_column = values;
    of_column.first = column;
    FillDummyOnHost(Tensor::Of(want.data(), dtype, rows, 1), of_column);
    std::vector<double> want_values;
    for (const uint16_t& bits : want) want_values.push_back(DecodeElement(&bits, dtype));
    EXPECT_EQ(ReadColumn(ops, *weight, dtype, column), want_values);
  }
}

// Copies of awkward sizes arrive whole, in order, though the source changes on return.
void CheckCopies(Ops& ops, size_t num_bytes) {
  std::vector<uint8_t> bytes(num_bytes);
  Random random(TestSeed());
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  const std::vector<uint8_t> want = bytes;
  const Buffer device = ops.Allocate(num_bytes + 7);
  uint8_t* to = static_cast<uint8_t*>(device.data()) + 7;  // unaligned
  ops.CopyToDevice(to, want.data(), num_bytes);
  ops.CopyToDevice(to, bytes.data(), num_bytes / 2);
  std::fill(bytes.begin(), bytes.end(), uint8_t{0});
  std::vector<uint8_t> got(num_bytes);
  ops.CopyToHost(got.data(), to, num_bytes);
  EXPECT_TRUE(got == want) << num_bytes << " bytes";
}

}  // namespace

std::vector<OpCase> WeightCases() {
  std::vector<OpCase> cases = {
      {"FillDummy_pinned", CheckPinnedValues},
      {"FillDummy_vector", CheckFillDummyVector},
      {"Prepare_large", CheckLargePrepare},
  };
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 257}, {130, 64}}) {
    for (const DType dtype :
         {DType::kFloat32, DType::kBFloat16, DType::kFloat16, DType::kFloat8E4M3}) {
      cases.push_back({CaseName("FillDummy", DTypeName(dtype), rows, columns),
                       [=, r = rows, c = columns](Ops& ops) { CheckFillDummy(ops, dtype, r, c); }});
    }
  }
  for (const DType dtype : kActivationTypes) {
    cases.push_back({CaseName("Prepare_from_device", DTypeName(dtype)),
                     [=](Ops& ops) { CheckPrepareFromDevice(ops, dtype); }});
  }
  for (const size_t size :
       {size_t{1}, size_t{4096}, (size_t{1} << 20) + 1, (size_t{70} << 20) + 3}) {
    cases.push_back({CaseName("Copies", size), [=](Ops& ops) { CheckCopies(ops, size); }});
  }
  return cases;
}

}  // namespace regatta
