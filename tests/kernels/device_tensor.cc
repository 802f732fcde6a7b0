// Element codecs, poisoned memory and comparison of test tensors.
#include "tests/kernels/device_tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "kernels/dtype.h"

namespace regatta {

uint64_t TestSeed() {
  const int asked = ::testing::GTEST_FLAG(random_seed);
  return asked != 0 ? static_cast<uint64_t>(asked) : 20240607;
}

// Calls fn with a zero of the element's type on the host, integers included.
template <typename Fn>
void DispatchElement(DType dtype, const Fn& fn) {
  switch (dtype) {
    case DType::kInt32:
      return fn(int32_t{});
    case DType::kInt64:
      return fn(int64_t{});
    case DType::kUint8:
      return fn(uint8_t{});
    default:
      DispatchStorage(dtype, fn);
  }
}

void EncodeElement(double value, DType dtype, void* to) {
  DispatchElement(dtype, [&]<typename T>(T element) {
    if constexpr (std::is_integral_v<T>) {
      element = static_cast<T>(value);
    } else {
      element = FromFloat<T>(static_cast<float>(value));
    }
    std::memcpy(to, &element, sizeof(element));
  });
}

double DecodeElement(const void* from, DType dtype) {
  double value = 0;
  DispatchElement(dtype, [&]<typename T>(T element) {
    std::memcpy(&element, from, sizeof(element));
    if constexpr (std::is_integral_v<T>) {
      value = static_cast<double>(element);
    } else {
      value = ToFloat(element);
    }
  });
  return value;
}

DeviceTensor::DeviceTensor(Ops& ops, DType dtype, std::vector<int64_t> shape, int64_t row_stride)
    : ops_(&ops) {
  tensor_.dtype = dtype;
  tensor_.rank = static_cast<int>(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) tensor_.shape[i] = shape[i];
  tensor_.row_stride = row_stride > 0 ? row_stride : row_width();
  const size_t num_bytes = tensor_.dim(0) * tensor_.row_stride * SizeOf(dtype);
  buffer_ = ops.Allocate(num_bytes);
  tensor_.data = buffer_.data();
  const std::vector<uint8_t> poison(num_bytes, 0xff);  // NaN in every floating dtype
  ops.CopyToDevice(tensor_.data, poison.data(), num_bytes);
}

DeviceTensor DeviceTensor::Normal(Ops& ops, DType dtype, std::vector<int64_t> shape, Random& random,
                                  double deviation, int64_t row_stride) {
  DeviceTensor tensor(ops, dtype, std::move(shape), row_stride);
  std::normal_distribution<double> normal(0, deviation);
  std::vector<double> values(tensor.tensor().num_elements());
  for (double& value : values) value = normal(random);
  tensor.Write(values);
  return tensor;
}

void DeviceTensor::Write(const std::vector<double>& values) {
  CHECK_EQ(static_cast<int64_t>(values.size()), tensor_.num_elements());
  const size_t size = SizeOf(tensor_.dtype);
  std::vector<uint8_t> bits(tensor_.num_bytes());
  for (size_t i = 0; i < values.size(); ++i) {
    EncodeElement(values[i], tensor_.dtype, bits.data() + i * size);
  }
  ForEachRun([&](char* device, size_t at, size_t num_bytes) {
    ops_->CopyToDevice(device, bits.data() + at, num_bytes);
  });
}

std::vector<uint8_t> DeviceTensor::Bits() const {
  std::string error;
  CHECK(ops_->Sync(&error)) << error;
  std::vector<uint8_t> bits(tensor_.num_bytes());
  ForEachRun([&](char* device, size_t at, size_t num_bytes) {
    ops_->CopyToHost(bits.data() + at, device, num_bytes);
  });
  return bits;
}

void DeviceTensor::ForEachRun(const std::function<void(char*, size_t, size_t)>& copy) const {
  if (tensor_.dense()) return copy(tensor_.as<char>(), 0, tensor_.num_bytes());
  const size_t size = SizeOf(tensor_.dtype);
  const size_t row_bytes = row_width() * size;
  for (int64_t r = 0; r < tensor_.dim(0); ++r) {
    copy(tensor_.as<char>() + r * tensor_.row_stride * size, r * row_bytes, row_bytes);
  }
}

std::vector<double> DeviceTensor::Read() const {
  const std::vector<uint8_t> bits = Bits();
  std::vector<double> values(tensor_.num_elements());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = DecodeElement(bits.data() + i * SizeOf(tensor_.dtype), tensor_.dtype);
  }
  return values;
}

TestWeight NormalWeight(Ops& ops, DType dtype, int64_t out, int64_t in, Random& random,
                        WeightUse use) {
  std::normal_distribution<double> normal(0, 1 / std::sqrt(static_cast<double>(in)));
  const int64_t stride = in + 3;  // a slice of a wider host matrix
  std::vector<uint8_t> host(out * stride * SizeOf(dtype), 0xff);
  TestWeight made;
  for (int64_t n = 0; n < out; ++n) {
    for (int64_t k = 0; k < in; ++k) {
      uint8_t* element = host.data() + (n * stride + k) * SizeOf(dtype);
      EncodeElement(normal(random), dtype, element);
      made.values.push_back(DecodeElement(element, dtype));
    }
  }
  Tensor matrix = Tensor::Of(host.data(), dtype, out, in);
  matrix.row_stride = stride;
  made.weight = ops.Prepare(matrix, use);
  CHECK_EQ(made.weight->out_features, out);
  CHECK_EQ(made.weight->in_features, in);
  return made;
}

double RoundingOf(DType dtype) {
  switch (dtype) {
    case DType::kBFloat16:
      return 0x1p-8;
    case DType::kFloat16:
      return 0x1p-11;
    case DType::kFloat8E4M3:
      return 0x1p-4;
    default:
      return 0x1p-24;
  }
}

void ExpectNear(const std::vector<double>& got, const std::vector<double>& want, double relative,
                double absolute, const std::string& what) {
  ExpectNear(got, want, relative, std::vector<double>(want.size(), absolute), what);
}

void ExpectNear(const std::vector<double>& got, const std::vector<double>& want, double relative,
                const std::vector<double>& absolute, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    const double limit = relative * std::abs(want[i]) + absolute[i];
    ASSERT_LE(std::abs(got[i] - want[i]), limit)
        << what << ": element " << i << " of " << got.size() << " is " << got[i] << ", not "
        << want[i];
  }
}

SampleResult DrawNow(Ops& ops, const Tensor& logits, const std::vector<SampleRow>& rows,
                     const SamplePool& pool) {
  std::vector<int32_t> slots(rows.size());
  std::iota(slots.begin(), slots.end(), 0);
  const DeviceArray<int32_t> device_slots(ops, slots);
  const Buffer drawn = ops.Allocate(std::max<size_t>(1, rows.size()) * sizeof(int32_t));
  const std::unique_ptr<Draws> draws = ops.MakeDraws(static_cast<int>(rows.size()));
  ops.Sample(logits, rows, pool, device_slots.data(), static_cast<int32_t*>(drawn.data()), *draws);
  std::string error;
  CHECK(ops.Sync(&error)) << error;
  SampleResult result;
  draws->Read(result);
  std::vector<int32_t> placed(rows.size());
  ops.CopyToHost(placed.data(), drawn.data(), placed.size() * sizeof(int32_t));
  CHECK(std::equal(placed.begin(), placed.end(), result.tokens.begin())) << "drawn ids differ";
  return result;
}

}  // namespace regatta
