// Sampling: exact where the result is determined, by a chi-square test over many draws where it is
// not.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "tests/kernels/device_tensor.h"
#include "tests/kernels/op_cases.h"

namespace regatta {
namespace {

constexpr int64_t kVocab = 50;

struct Penalties {
  std::vector<double> prompt;
  std::vector<double> output;
};

// The distribution that a row is drawn from, in float64, by sorting and summing whole vocabularies.
std::vector<double> Distribution(std::vector<double> logits, const SampleRow& row,
                                 const Penalties* penalties) {
  const size_t vocab = logits.size();
  if (penalties != nullptr) {
    for (size_t i = 0; i < vocab; ++i) {
      if (penalties->prompt[i] + penalties->output[i] > 0) {
        logits[i] =
            logits[i] > 0 ? logits[i] / row.repetition_penalty : logits[i] * row.repetition_penalty;
      }
      logits[i] -= row.frequency_penalty * penalties->output[i];
      if (penalties->output[i] > 0) logits[i] -= row.presence_penalty;
    }
  }
  for (int i = 0; i < row.num_suppressed; ++i) logits[row.suppressed[i]] = -INFINITY;
  std::vector<size_t> order(vocab);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  std::vector<double> p(vocab, 0);
  if (row.temperature == 0) {
    p[order[0]] = 1;
    return p;
  }
  const auto normalize = [&] {
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& x : p) x /= sum;
  };
  for (size_t i = 0; i < vocab; ++i) {
    p[i] = std::exp((logits[i] - logits[order[0]]) / row.temperature);
  }
  normalize();
  const double threshold = row.min_p * p[order[0]];
  for (double& x : p) x = x < threshold ? 0 : x;
  normalize();
  for (size_t i = row.top_k > 0 ? row.top_k : vocab; i < vocab; ++i) p[order[i]] = 0;
  normalize();
  double before = 0;
  for (size_t i = 0; i < vocab; ++i) {
    const double own = p[order[i]];
    if (row.top_p > 0 && before >= row.top_p) p[order[i]] = 0;
    before += own;
  }
  normalize();
  return p;
}

// `count` rows of the same logits.
DeviceTensor RepeatedLogits(Ops& ops, const std::vector<double>& logits, size_t count) {
  std::vector<double> repeated;
  for (size_t i = 0; i < count; ++i) {
    repeated.insert(repeated.end(), logits.begin(), logits.end());
  }
  DeviceTensor device(ops, DType::kFloat32, {static_cast<int64_t>(count), kVocab}, kVocab + 14);
  device.Write(repeated);
  return device;
}

std::vector<uint32_t> DrawRows(Ops& ops, const std::vector<double>& logits,
                               const std::vector<SampleRow>& rows, const SamplePool& pool) {
  const SampleResult result = DrawNow(ops, RepeatedLogits(ops, logits, rows.size()), rows, pool);
  EXPECT_EQ(result.tokens.size(), rows.size());
  return result.tokens;
}

std::vector<double> RandomLogits(Random& random, double deviation) {
  std::normal_distribution<float> normal(0, static_cast<float>(deviation));
  std::vector<double> logits(kVocab);
  for (double& logit : logits) logit = normal(random);
  return logits;
}

// Pearson's statistic over cells of at least 5 expected draws; five standard deviations above its
// mean is one in millions.
void ExpectDistributed(const std::vector<int64_t>& counts, const std::vector<double>& p) {
  const double draws = static_cast<double>(std::accumulate(counts.begin(), counts.end(), 0l));
  double statistic = 0, rare_expected = 0, rare_count = 0;
  int cells = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " is filtered out";
    } else if (p[i] * draws < 5) {
      rare_expected += p[i] * draws;
      rare_count += static_cast<double>(counts[i]);
    } else {
      statistic += std::pow(static_cast<double>(counts[i]) - p[i] * draws, 2) / (p[i] * draws);
      ++cells;
    }
  }
  if (rare_expected > 5) {
    statistic += std::pow(rare_count - rare_expected, 2) / rare_expected;
    ++cells;
  }
  const double freedom = std::max(1, cells - 1);
  EXPECT_LT(statistic, freedom + 5 * std::sqrt(2 * freedom) + 5) << cells << " cells";
}

// 100,000 draws along the output index, and as many along the seed.
void CheckDistribution(Ops& ops, SampleRow row, bool along_seed) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const std::vector<double> logits = RandomLogits(random, 2);
  const std::vector<double> want = Distribution(logits, row, nullptr);
  std::vector<int64_t> counts(kVocab);
  constexpr uint32_t kBatch = 1000;
  const DeviceTensor repeated = RepeatedLogits(ops, logits, kBatch);
  for (uint32_t first = 0; first < 100000; first += kBatch) {
    std::vector<SampleRow> rows(kBatch, row);
    for (uint32_t i = 0; i < kBatch; ++i) {
      rows[i].seed = along_seed ? first + i : 77;
      rows[i].output_index = along_seed ? 5 : first + i;
    }
    const SampleResult result = DrawNow(ops, repeated, rows, {});
    for (const uint32_t token : result.tokens) ++counts.at(token);
  }
  ExpectDistributed(counts, want);
}

// Two draws of one seed or of one index must not be related: counts over pairs of cells.
void CheckIndependence(Ops& ops) {
  ReserveForCases(ops);
  std::vector<double> logits(kVocab, -INFINITY);
  for (int i = 0; i < 4; ++i) logits[i] = 0;
  std::vector<int64_t> pairs(16);
  for (uint32_t first = 0; first < 40000; first += 1000) {
    std::vector<SampleRow> rows(1000, SampleRow{.temperature = 1, .seed = 3});
    for (uint32_t i = 0; i < rows.size(); ++i) rows[i].output_index = first + i;
    const std::vector<uint32_t> tokens = DrawRows(ops, logits, rows, {});
    for (size_t i = 0; i < tokens.size(); i += 2) ++pairs.at(tokens[i] * 4 + tokens[i + 1]);
  }
  ExpectDistributed(pairs, std::vector<double>(16, 1.0 / 16));
}

// The draw of a (seed, index) is the same alone, in another batch and at another row.
void CheckDrawKeys(Ops& ops) {
  Random random(TestSeed());
  ReserveForCases(ops);
  const std::vector<double> logits = RandomLogits(random, 0.5);
  std::vector<SampleRow> rows;
  for (uint32_t i = 0; i < 200; ++i) {
    rows.push_back({.temperature = 0.8f,
                    .top_k = i % 3 == 0 ? 20 : 0,
                    .top_p = i % 2 == 0 ? 0.9f : 1.0f,
                    .seed = random(),
                    .output_index = i / 2});
  }
  const std::vector<uint32_t> together = DrawRows(ops, logits, rows, {});
  std::vector<SampleRow> reversed(rows.rbegin(), rows.rend());
  const std::vector<uint32_t> backwards = DrawRows(ops, logits, reversed, {});
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(together[i], backwards[rows.size() - 1 - i]) << "row " << i;
    EXPECT_EQ(together[i], DrawRows(ops, logits, {rows[i]}, {})[0]) << "row " << i;
  }
}

// Penalties and suppressed ids, over greedy rows whose best two logits are clearly apart, and over
// drawn rows.
void CheckPenalties(Ops& ops) {
  Random random(TestSeed());
  ReserveForCases(ops);
  constexpr int64_t kPoolRows = 4;
  for (int round = 0; round < 200; ++round) {
    DeviceTensor prompt(ops, DType::kInt32, {kPoolRows, kVocab});
    DeviceTensor output(ops, DType::kInt32, {kPoolRows, kVocab});
    std::vector<double> prompt_counts, output_counts;
    for (int64_t i = 0; i < kPoolRows * kVocab; ++i) {
      prompt_counts.push_back(random() % 3 == 0 ? 2 : 0);
      output_counts.push_back(static_cast<double>(random() % 3));
    }
    prompt.Write(prompt_counts);
    output.Write(output_counts);
    const std::vector<uint32_t> suppressed = {static_cast<uint32_t>(random() % kVocab), 7};
    SampleRow row{.temperature = round % 4 == 0 ? 1.0f : 0.0f,
                  .top_k = round % 4 == 0 ? 3 : 0,
                  .repetition_penalty = 1.3f,
                  .presence_penalty = round % 3 * 0.4f,
                  .frequency_penalty = 0.25f,
                  .seed = 9,
                  .output_index = static_cast<uint32_t>(round),
                  .penalty_row = static_cast<int>(random() % kPoolRows),
                  .suppressed = suppressed.data(),
                  .num_suppressed = 2};
    const std::vector<double> logits = RandomLogits(random, 2);
    const auto first = row.penalty_row * kVocab;
    const Penalties penalties = {
        {prompt_counts.begin() + first, prompt_counts.begin() + first + kVocab},
        {output_counts.begin() + first, output_counts.begin() + first + kVocab}};
    const std::vector<double> allowed = Distribution(logits, row, &penalties);
    const uint32_t token = DrawRows(ops, logits, {row}, {prompt, output})[0];
    EXPECT_GT(allowed.at(token), 0) << "round " << round;
    ++output_counts[first + token];
    EXPECT_EQ(output.Read(), output_counts) << "the drawn token is counted, nothing else";
    EXPECT_EQ(prompt.Read(), prompt_counts);
  }
}

// Greedy: lowest id on ties; NaN is never drawn; a row without finite logits gives id 0.
void CheckGreedyEdges(Ops& ops) {
  ReserveForCases(ops);
  const SampleRow greedy;
  const SampleRow drawn{.temperature = 1, .top_k = 5, .top_p = 0.9f, .min_p = 0.1f};
  std::vector<double> logits(kVocab, 1);
  logits[13] = logits[31] = logits[49] = 4;
  EXPECT_EQ(DrawRows(ops, logits, {greedy}, {})[0], 13u);
  const std::vector<uint32_t> suppressed = {13};
  SampleRow without = greedy;
  without.suppressed = suppressed.data();
  without.num_suppressed = 1;
  EXPECT_EQ(DrawRows(ops, logits, {without}, {})[0], 31u);
  logits[0] = logits[13] = std::nan("");
  EXPECT_EQ(DrawRows(ops, logits, {greedy}, {})[0], 31u);
  for (uint32_t i = 0; i < 100; ++i) {
    SampleRow row = drawn;
    row.output_index = i;
    const uint32_t token = DrawRows(ops, logits, {row}, {})[0];
    EXPECT_TRUE(token == 31 || token == 49) << token;
  }
  for (const double empty : {std::nan(""), -HUGE_VAL}) {
    const std::vector<double> none(kVocab, empty);
    EXPECT_EQ(DrawRows(ops, none, {greedy, drawn}, {}), (std::vector<uint32_t>{0, 0}));
  }
}

// Of the raw distribution, whatever temperature, penalties and suppression do to the draw.
void CheckLogprobs(Ops& ops) {
  Random random(TestSeed());
  ReserveForCases(ops);
  for (const int64_t vocab : {1, 16, 1000, kCaseMaxVocab}) {
    const DeviceTensor logits = DeviceTensor::Normal(ops, DType::kFloat32, {3, vocab}, random, 5);
    const std::vector<double> values = logits.Read();
    const std::vector<uint32_t> suppressed = {0};
    const int asked = static_cast<int>(std::min<int64_t>(vocab + 1, 20));
    const std::vector<SampleRow> rows = {{.temperature = 2,
                                          .num_logprobs = 0,
                                          .suppressed = suppressed.data(),
                                          .num_suppressed = vocab > 1 ? 1 : 0},
                                         {.num_logprobs = asked},
                                         {.temperature = 0.5f}};
    const SampleResult result = DrawNow(ops, logits, rows, {});
    std::vector<int32_t> ids(result.tokens.begin(), result.tokens.end());
    GivenLogprobs scored;
    ops.TokenLogprobs(logits, DeviceArray<int32_t>(ops, ids).data(), asked, scored);
    ASSERT_EQ(scored.given.size(), 3u);
    const size_t top = std::min<int64_t>(asked, vocab);
    ASSERT_EQ(scored.top_ids.size(), 3 * top);
    ASSERT_EQ(scored.top_logprobs.size(), 3 * top);
    for (int64_t r = 0; r < 3; ++r) {
      const double* row = values.data() + r * vocab;
      double sum = 0;
      for (int64_t i = 0; i < vocab; ++i) sum += std::exp(row[i]);
      const double want = row[result.tokens[r]] - std::log(sum);
      EXPECT_NEAR(scored.given[r], want, 1e-5);
      EXPECT_NEAR(result.logprobs[r], r < 2 ? want : 0, 1e-5) << "the last row asked for none";
      std::multimap<double, uint32_t, std::greater<>> sorted;
      for (int64_t i = 0; i < vocab; ++i) sorted.emplace(row[i], static_cast<uint32_t>(i));
      auto ranked = sorted.begin();
      for (size_t i = r * top; i < (r + 1) * top; ++i, ++ranked) {
        EXPECT_EQ(scored.top_ids[i], ranked->second);
        EXPECT_NEAR(scored.top_logprobs[i], ranked->first - std::log(sum), 1e-5);
      }
      const size_t listed = r == 1 ? top : 0;
      ASSERT_EQ(result.top_logprobs[r].size(), listed);
      auto expected = sorted.begin();
      for (const auto& [id, logprob] : result.top_logprobs[r]) {
        EXPECT_EQ(id, expected->second);
        EXPECT_NEAR(logprob, expected->first - std::log(sum), 1e-5);
        ++expected;
      }
    }
  }
}

// Biases and masks over rows of one pool, greedy and drawn: what is drawn has a share of the
// distribution that float64 gives, and the logits are as they were afterwards.
void CheckBiasAndMask(Ops& ops) {
  Random random(TestSeed());
  ReserveForCases(ops);
  constexpr int64_t kPoolRows = 3;
  constexpr int kBiases = 5;
  DeviceTensor bias_ids(ops, DType::kInt32, {kPoolRows, kMaxBias});
  DeviceTensor bias(ops, DType::kFloat32, {kPoolRows, kMaxBias});
  DeviceTensor hidden(ops, DType::kFloat32, {kPoolRows, kMaxBias});
  DeviceTensor masks(ops, DType::kInt32, {kPoolRows, MaskWords(kVocab)});
  const SamplePool pool = {
      .bias_ids = bias_ids, .bias = bias, .bias_hidden = hidden, .masks = masks};
  for (int round = 0; round < 200; ++round) {
    const int biased = static_cast<int>(random() % kPoolRows);
    const int masked = static_cast<int>(random() % kPoolRows);
    std::vector<double> logits = RandomLogits(random, 2), adjusted = logits;
    std::vector<double> ids(kPoolRows * kMaxBias, 0), values(kPoolRows * kMaxBias, 50);
    for (int i = 0; i < kBiases; ++i) {
      const uint32_t id = (round + 9 * i) % kVocab;
      ids[biased * kMaxBias + i] = id;
      values[biased * kMaxBias + i] = static_cast<double>(random() % 17) - 8;
      adjusted[id] += values[biased * kMaxBias + i];
    }
    std::vector<double> words(kPoolRows * MaskWords(kVocab), -1);
    for (int word = 0; word < MaskWords(kVocab); ++word) {
      words[masked * MaskWords(kVocab) + word] =
          static_cast<int32_t>(random() & random()) | (round % 2 << 5);
    }
    bias_ids.Write(ids);
    bias.Write(values);
    masks.Write(words);
    const auto allows = [&](int64_t id) {
      const auto word = static_cast<int32_t>(words[masked * MaskWords(kVocab) + id / 32]);
      return (static_cast<uint32_t>(word) >> (id % 32) & 1) != 0;
    };
    for (int64_t id = 0; id < kVocab; ++id) {
      if (!allows(id)) adjusted[id] = -INFINITY;
    }
    const SampleRow row{.temperature = round % 3 == 0 ? 0.0f : 1.0f,
                        .top_k = round % 3 == 2 ? 4 : 0,
                        .seed = 5,
                        .output_index = static_cast<uint32_t>(round),
                        .bias_row = biased,
                        .num_bias = kBiases,
                        .mask_row = masked,
                        .num_logprobs = 0};
    const DeviceTensor device = RepeatedLogits(ops, logits, 1);
    const std::vector<double> before = device.Read();
    const SampleResult result = DrawNow(ops, device, {row}, pool);
    EXPECT_EQ(device.Read(), before) << "round " << round;
    const uint32_t token = result.tokens[0];
    EXPECT_TRUE(allows(token)) << "round " << round << ": " << token;
    EXPECT_GT(Distribution(adjusted, row, nullptr).at(token), 0) << "round " << round;
    double sum = 0;
    for (const double logit : before) sum += std::exp(logit);
    EXPECT_NEAR(result.logprobs[0], before[token] - std::log(sum), 1e-5) << "of the raw row";
  }
}

// A mask holds where nothing can be drawn, where ids are random, and beside the last whole word.
void CheckMaskEdges(Ops& ops) {
  ReserveForCases(ops);
  DeviceTensor masks(ops, DType::kInt32, {2, MaskWords(kVocab)});
  masks.Write({0, 1 << 10, 1 << 3, 1 << 17});  // ids 42; 3 and 49
  const SamplePool pool = {.masks = masks};
  const std::vector<uint32_t> suppressed = {42};
  for (const double logit : {1.0, -HUGE_VAL, std::nan("")}) {
    const std::vector<double> logits(kVocab, logit);
    const std::vector<SampleRow> rows = {
        {.mask_row = 0},
        {.temperature = 1, .mask_row = 0},
        {.mask_row = 0, .suppressed = suppressed.data(), .num_suppressed = 1},
        {.mask_row = 0, .random_next = true},
        {.mask_row = 1}};
    EXPECT_EQ(DrawRows(ops, logits, rows, pool), (std::vector<uint32_t>{42, 42, 42, 42, 3}));
  }
  std::vector<double> logits(kVocab, 2);
  logits[49] = 3;
  logits[48] = 9;
  EXPECT_EQ(DrawRows(ops, logits, {{.mask_row = 1}}, pool)[0], 49u);
}

// Whatever the logits say, every id alike; the log-probability is of the id that was given.
void CheckRandomNext(Ops& ops) {
  ReserveForCases(ops);
  std::vector<double> logits(kVocab, 0);
  logits[3] = 40;
  std::vector<int64_t> counts(kVocab);
  for (uint32_t first = 0; first < 20000; first += 1000) {
    std::vector<SampleRow> rows(1000, SampleRow{.seed = 9, .num_logprobs = 0, .random_next = true});
    for (uint32_t i = 0; i < rows.size(); ++i) rows[i].output_index = first + i;
    const SampleResult result = DrawNow(ops, RepeatedLogits(ops, logits, rows.size()), rows, {});
    for (size_t i = 0; i < rows.size(); ++i) {
      ++counts.at(result.tokens[i]);
      EXPECT_NEAR(result.logprobs[i], result.tokens[i] == 3 ? 0 : -40, 1e-3);
    }
  }
  ExpectDistributed(counts, std::vector<double>(kVocab, 1.0 / kVocab));
}

}  // namespace

std::vector<OpCase> SampleCases() {
  const std::map<std::string, SampleRow> rows = {
      {"temperature_1", {.temperature = 1}},
      {"temperature_low", {.temperature = 0.3f}},
      {"temperature_high", {.temperature = 3}},
      {"top_k", {.temperature = 1, .top_k = 7}},
      {"top_k_1", {.temperature = 1, .top_k = 1}},
      {"top_k_beyond_vocabulary", {.temperature = 1, .top_k = 1000}},
      {"top_p", {.temperature = 1, .top_p = 0.7f}},
      {"top_p_tiny", {.temperature = 1, .top_p = 1e-6f}},
      {"min_p", {.temperature = 1, .min_p = 0.05f}},
      {"min_p_1", {.temperature = 1, .min_p = 1}},
      {"top_k_top_p", {.temperature = 1.5f, .top_k = 12, .top_p = 0.8f}},
      {"all", {.temperature = 2, .top_k = 20, .top_p = 0.9f, .min_p = 0.1f}},
      {"zeros_are_off", {.temperature = 1, .top_p = 0, .repetition_penalty = 0}},
  };
  std::vector<OpCase> cases;
  for (const auto& [name, row] : rows) {
    cases.push_back({"SampleDistribution_" + name,
                     [row = row](Ops& ops) { CheckDistribution(ops, row, false); }});
  }
  cases.push_back({"SampleDistribution_along_seed", [](Ops& ops) {
                     CheckDistribution(ops, {.temperature = 1, .top_p = 0.95f}, true);
                   }});
  cases.push_back({"SampleIndependence", CheckIndependence});
  cases.push_back({"SampleDrawKeys", CheckDrawKeys});
  cases.push_back({"SamplePenalties", CheckPenalties});
  cases.push_back({"SampleGreedyEdges", CheckGreedyEdges});
  cases.push_back({"SampleLogprobs", CheckLogprobs});
  cases.push_back({"SampleBiasAndMask", CheckBiasAndMask});
  cases.push_back({"SampleMaskEdges", CheckMaskEdges});
  cases.push_back({"SampleRandomNext", CheckRandomNext});
  return cases;
}

}  // namespace regatta
