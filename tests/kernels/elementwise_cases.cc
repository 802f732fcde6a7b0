// Embedding, gathers, norms, gates and additions against float64.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/device_tensor.h"
#include "tests/kernels/op_cases.h"

namespace regatta {
namespace {

constexpr int64_t kTokens[] = {1, 3, 17, 129};

// Ids inside, below and above the shard's rows [40, 140) of the vocabulary; every third is the
// token drawn for slot t.
void CheckEmbedding(Ops& ops, DType dtype, int64_t tokens, int64_t width) {
  Random random(TestSeed());
  const int64_t first_row = 40;
  const DeviceTensor table = DeviceTensor::Normal(ops, dtype, {100, width}, random, 1, width + 5);
  const DeviceTensor out(ops, dtype, {tokens, width}, width + 2);
  std::vector<int32_t> ids;
  for (int64_t t = 0; t < tokens; ++t) ids.push_back(static_cast<int32_t>(random() % 180));
  const int32_t edges[] = {139, 140, 40, 39};
  for (int64_t t = 0; t < std::min<int64_t>(tokens, 4); ++t) ids[t] = edges[t];
  std::vector<int32_t> given = ids;
  for (int64_t t = 0; t < tokens; t += 3) given[t] = static_cast<int32_t>(-1 - t);
  const DeviceArray<int32_t> device_ids(ops, given), drawn(ops, ids);
  ops.Embedding(device_ids.data(), drawn.data(), table, first_row, out);
  const std::vector<double> rows = table.Read();
  std::vector<double> want;
  for (const int32_t id : ids) {
    for (int64_t i = 0; i < width; ++i) {
      const bool held = id >= first_row && id < first_row + 100;
      want.push_back(held ? rows[(id - first_row) * width + i] : 0);
    }
  }
  EXPECT_EQ(out.Read(), want);
}

// Three parts, as of three ranks.
void CheckJoinColumns(Ops& ops, DType dtype, int64_t rows, int64_t width) {
  Random random(TestSeed());
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {3 * rows, width}, random);
  const DeviceTensor out(ops, dtype, {rows, 3 * width});
  ops.JoinColumns(x, out);
  const std::vector<double> parts = x.Read();
  std::vector<double> want;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t part = 0; part < 3; ++part) {
      const auto begin = parts.begin() + (part * rows + row) * width;
      want.insert(want.end(), begin, begin + width);
    }
  }
  EXPECT_EQ(out.Read(), want);
}

// Ids of two steps: the later one stays.
void CheckPlaceTokens(Ops& ops) {
  const std::vector<int32_t> ids = {7, 8, 9}, slots = {4, 0, 2};
  DeviceTensor drawn(ops, DType::kInt32, {5});
  drawn.Write({1, 2, 3, 4, 5});
  const DeviceArray<int32_t> device_ids(ops, ids), device_slots(ops, slots);
  ops.PlaceTokens(device_ids.data(), device_slots.data(), 3, drawn.tensor().as<int32_t>());
  EXPECT_EQ(drawn.Read(), std::vector<double>({8, 2, 9, 4, 7}));
  ops.PlaceTokens(device_ids.data() + 2, device_slots.data(), 1, drawn.tensor().as<int32_t>());
  EXPECT_EQ(drawn.Read(), std::vector<double>({8, 2, 9, 4, 9}));
}

void CheckGatherRows(Ops& ops, DType dtype, int64_t tokens, int64_t width) {
  Random random(TestSeed());
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, width}, random, 1, width + 8);
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < 2 * tokens; ++i) rows.push_back(static_cast<int32_t>(random() % tokens));
  const DeviceArray<int32_t> device_rows(ops, rows);
  const DeviceTensor out(ops, dtype, {2 * tokens, width});
  ops.GatherRows(x, device_rows.data(), out);
  const std::vector<double> from = x.Read();
  std::vector<double> want;
  for (const int32_t row : rows) {
    want.insert(want.end(), from.begin() + row * width, from.begin() + (row + 1) * width);
  }
  EXPECT_EQ(out.Read(), want);
}

std::vector<double> NormReference(const std::vector<double>& x, const std::vector<double>& weight,
                                  double eps) {
  const size_t width = weight.size();
  std::vector<double> out(x.size());
  for (size_t row = 0; row < x.size() / width; ++row) {
    double squares = 0;
    for (size_t i = 0; i < width; ++i) squares += x[row * width + i] * x[row * width + i];
    const double scale = 1 / std::sqrt(squares / width + eps);
    for (size_t i = 0; i < width; ++i)
      out[row * width + i] = x[row * width + i] * scale * weight[i];
  }
  return out;
}

void CheckRmsNorm(Ops& ops, DType dtype, int64_t tokens, int64_t width) {
  Random random(TestSeed());
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, width}, random, 3, 2 * width);
  const DeviceTensor weight = DeviceTensor::Normal(ops, dtype, {width}, random);
  const DeviceTensor out(ops, dtype, {tokens, width}, width + 16);
  ops.RmsNorm(x, weight, 1e-3f, out);
  ExpectNear(out.Read(), NormReference(x.Read(), weight.Read(), 1e-3f),
             RoundingOf(dtype) * 1.01 + 1e-6, 1e-7, "RmsNorm");
}

void CheckAddRmsNorm(Ops& ops, DType dtype, int64_t tokens, int64_t width) {
  Random random(TestSeed());
  const DeviceTensor residual = DeviceTensor::Normal(ops, dtype, {tokens, width}, random);
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, width}, random);
  const DeviceTensor weight = DeviceTensor::Normal(ops, dtype, {width}, random);
  const DeviceTensor out(ops, dtype, {tokens, width});
  std::vector<double> sum = residual.Read();
  const std::vector<double> added = x.Read();
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += added[i];
  ops.AddRmsNorm(residual, x, weight, 1e-6f, out);
  const std::vector<double> got_sum = residual.Read();
  ExpectNear(got_sum, sum, RoundingOf(dtype) * 1.01, 1e-7, "residual");
  ExpectNear(out.Read(), NormReference(got_sum, weight.Read(), 1e-6f),
             RoundingOf(dtype) * 1.01 + 1e-6, 1e-7, "AddRmsNorm");
}

double SigmoidReference(double x) { return 1 / (1 + std::exp(-x)); }

// Rows are aligned to 16 bytes or not, as the width is.
void CheckSiluMul(Ops& ops, DType dtype, int64_t tokens, int64_t width) {
  Random random(TestSeed());
  const int64_t out_stride = width + (width % 16 == 0 ? 16 : 1);
  const DeviceTensor gate_up =
      DeviceTensor::Normal(ops, dtype, {tokens, 2 * width}, random, 10, 3 * width);
  const DeviceTensor out(ops, dtype, {tokens, width}, out_stride);
  ops.SiluMul(gate_up, out);
  const std::vector<double> x = gate_up.Read();
  std::vector<double> want;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < width; ++i) {
      const double gate = x[t * 2 * width + i];
      want.push_back(gate * SigmoidReference(gate) * x[t * 2 * width + width + i]);
    }
  }
  // float16 results below its smallest normal value are rounded to steps of 2^-24.
  ExpectNear(out.Read(), want, RoundingOf(dtype) * 1.01 + 1e-6, 0x1p-25, "SiluMul");
}

void CheckAddScaled(Ops& ops, DType dtype, int64_t tokens, int64_t width, bool gated) {
  Random random(TestSeed());
  const DeviceTensor y = DeviceTensor::Normal(ops, dtype, {tokens, width}, random);
  const DeviceTensor x = DeviceTensor::Normal(ops, dtype, {tokens, width}, random);
  const DeviceTensor gate = DeviceTensor::Normal(ops, DType::kFloat32, {tokens, 1}, random, 3);
  std::vector<double> want = y.Read();
  const std::vector<double> added = x.Read();
  const std::vector<double> gates = gate.Read();
  for (size_t i = 0; i < want.size(); ++i) {
    want[i] += (gated ? SigmoidReference(gates[i / width]) : 1) * added[i];
  }
  ops.AddScaled(y, x, gated ? gate.tensor() : Tensor{});
  ExpectNear(y.Read(), want, RoundingOf(dtype) * 1.01, 1e-6, "AddScaled");
}

}  // namespace

std::vector<OpCase> ElementwiseCases() {
  std::vector<OpCase> cases;
  const auto add = [&](const std::string& name, DType dtype, int64_t tokens, int64_t width,
                       void (*check)(Ops&, DType, int64_t, int64_t)) {
    cases.push_back({CaseName(name, DTypeName(dtype), tokens, width),
                     [=](Ops& ops) { check(ops, dtype, tokens, width); }});
  };
  for (const DType dtype : kActivationTypes) {
    for (const int64_t width : {2320, 4096 + 8}) {
      add("SiluMul", dtype, 5, width, CheckSiluMul);
      add("RmsNorm", dtype, 270, width, CheckRmsNorm);
      add("AddRmsNorm", dtype, 257, width, CheckAddRmsNorm);
    }
    for (const int64_t tokens : kTokens) {
      for (const int64_t width : {64, 250}) {
        add("Embedding", dtype, tokens, width, CheckEmbedding);
        add("GatherRows", dtype, tokens, width, CheckGatherRows);
        add("JoinColumns", dtype, tokens, width, CheckJoinColumns);
        add("RmsNorm", dtype, tokens, width, CheckRmsNorm);
        add("AddRmsNorm", dtype, tokens, width, CheckAddRmsNorm);
        add("SiluMul", dtype, tokens, width, CheckSiluMul);
        for (const bool gated : {false, true}) {
          cases.push_back({CaseName(gated ? "AddGated" : "Add", DTypeName(dtype), tokens, width),
                           [=](Ops& ops) { CheckAddScaled(ops, dtype, tokens, width, gated); }});
        }
      }
    }
  }
  cases.push_back({"PlaceTokens", CheckPlaceTokens});
  return cases;
}

}  // namespace regatta
