// Typed memory on an Ops' device for tests: written and read as float64, and filled with NaN bits
// until written, so that an operation which leaves an element out, or reads where nothing was put,
// is seen.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace regatta {

using Random = std::mt19937_64;

// Fixed unless --gtest_random_seed is given; printed with every failing case.
uint64_t TestSeed();

class DeviceTensor {
 public:
  // `row_stride` 0 = dense; larger makes a column slice of a wider matrix.
  DeviceTensor(Ops& ops, DType dtype, std::vector<int64_t> shape, int64_t row_stride = 0);

  // Normal values of the given deviation, rounded to the dtype.
  static DeviceTensor Normal(Ops& ops, DType dtype, std::vector<int64_t> shape, Random& random,
                             double deviation = 1, int64_t row_stride = 0);

  void Write(const std::vector<double>& values);
  // In order of index, whatever the stride; integers too.
  std::vector<double> Read() const;
  // The bytes of the elements, for bitwise comparison.
  std::vector<uint8_t> Bits() const;

  const Tensor& tensor() const { return tensor_; }
  operator const Tensor&() const { return tensor_; }

 private:
  int64_t row_width() const { return tensor_.num_elements() / tensor_.dim(0); }
  // copy(place on the device, offset in a dense copy, bytes) for all of it.
  void ForEachRun(const std::function<void(char*, size_t, size_t)>& copy) const;

  Ops* ops_;
  Buffer buffer_;
  Tensor tensor_;
};

// A plain array on the device.
template <typename T>
class DeviceArray {
 public:
  DeviceArray(Ops& ops, const std::vector<T>& values)
      : buffer_(ops.Allocate(std::max<size_t>(1, values.size() * sizeof(T)))) {
    ops.CopyToDevice(buffer_.data(), values.data(), values.size() * sizeof(T));
  }
  const T* data() const { return static_cast<const T*>(buffer_.data()); }

 private:
  Buffer buffer_;
};

// A weight made from normal values, and the values it was made from (rounded to `dtype`).
struct TestWeight {
  std::unique_ptr<Weight> weight;
  std::vector<double> values;  // [out, in]
};
TestWeight NormalWeight(Ops& ops, DType dtype, int64_t out, int64_t in, Random& random,
                        WeightUse use = WeightUse::kLinear);

// Samples and waits for the result; drawn tokens go to places that nothing reads.
SampleResult DrawNow(Ops& ops, const Tensor& logits, const std::vector<SampleRow>& rows,
                     const SamplePool& pool);

// Half a unit in the last place, relative: the error of one rounding to `dtype`.
double RoundingOf(DType dtype);

// Fails with the first element that differs by more than relative * |want| + absolute, or is NaN.
// `absolute` may be one for each element.
void ExpectNear(const std::vector<double>& got, const std::vector<double>& want, double relative,
                const std::vector<double>& absolute, const std::string& what);
void ExpectNear(const std::vector<double>& got, const std::vector<double>& want, double relative,
                double absolute, const std::string& what);

// Encodes and decodes one element, also of integers.
void EncodeElement(double value, DType dtype, void* to);
double DecodeElement(const void* from, DType dtype);

}  // namespace regatta
