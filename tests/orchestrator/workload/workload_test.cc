// Dealing prompts to points: nothing is sent twice while the data set lasts.
#include "orchestrator/workload/workload.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace regatta {
namespace {

Dataset Synthetic(uint32_t entries, uint32_t length) {
  Dataset dataset;
  for (uint32_t i = 0; i < entries; ++i) {
    DatasetEntry entry;
    entry.task_id = std::to_string(i);
    for (uint32_t k = 0; k < length + i; ++k) entry.input_ids.push_back(100 * i + k);
    entry.output_tokens = 8;
    entry.synthetic = true;
    dataset.entries.push_back(entry);
  }
  return dataset;
}

TEST(WorkloadTest, BatchesAreDisjointRunsOfTheDataset) {
  const Dataset dataset = Synthetic(10, 4);
  Workload workload(dataset, {});
  const Batch warmup = workload.Deal(2), point = workload.Deal(5);
  EXPECT_EQ(warmup.At(1).entry->task_id, "1");
  EXPECT_EQ(point.At(0).entry->task_id, "2");
  EXPECT_EQ(point.At(4).entry->task_id, "6");
  EXPECT_EQ(point.At(0).request.token_ids().ids(0), 200u);
  EXPECT_EQ(point.At(0).request.max_tokens(), 8u);
}

TEST(WorkloadTest, WhatIsDealtAtAPositionDoesNotDependOnWhatWasDealtBefore) {
  const Dataset dataset = Synthetic(4, 3);
  Workload in_order(dataset, {}), later(dataset, {});
  in_order.Deal(9);
  later.Seek(9);
  const Batch expected = in_order.Deal(5), batch = later.Deal(5);
  for (uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(batch.At(i).request.SerializeAsString(), expected.At(i).request.SerializeAsString());
  }
}

TEST(WorkloadTest, TheNextPromptCanBeRepeatedBeforeItIsDealt) {
  const Dataset dataset = Synthetic(3, 4);
  Workload workload(dataset, {});
  workload.Deal(4);
  const Batch repeated = workload.Repeat(3), next = workload.Deal(1);
  std::set<std::string> ids;
  for (uint32_t i = 0; i < repeated.size(); ++i) {
    const PlannedRequest planned = repeated.At(i);
    EXPECT_EQ(planned.request.token_ids().SerializeAsString(),
              next.At(0).request.token_ids().SerializeAsString());
    ids.insert(planned.request.request_id());
  }
  EXPECT_EQ(ids.size(), 3u);
}

TEST(WorkloadTest, SyntheticPromptsNeverRepeat) {
  const Dataset dataset = Synthetic(4, 16);
  Workload workload(dataset, {});
  std::set<std::string> seen;
  for (int point = 0; point < 5; ++point) {
    const Batch batch = workload.Deal(7);
    EXPECT_EQ(batch.reused(), 0u);
    for (uint32_t i = 0; i < batch.size(); ++i) {
      const PlannedRequest planned = batch.At(i);
      EXPECT_EQ(static_cast<size_t>(planned.request.token_ids().ids_size()),
                planned.entry->input_ids.size());
      EXPECT_EQ(planned.request.SerializeAsString(), batch.At(i).request.SerializeAsString());
      EXPECT_TRUE(seen.insert(planned.request.token_ids().SerializeAsString()).second);
    }
  }
}

TEST(WorkloadTest, OtherPromptsAreReusedAndCounted) {
  Dataset dataset = Synthetic(4, 3);
  for (DatasetEntry& entry : dataset.entries) entry.synthetic = false;
  Workload workload(dataset, {});
  EXPECT_EQ(workload.Deal(3).reused(), 0u);
  const Batch batch = workload.Deal(3);
  EXPECT_EQ(batch.reused(), 2u);
  EXPECT_EQ(batch.At(1).request.token_ids().ids(0), 0u);  // entry 0 again, unchanged
  EXPECT_EQ(workload.Deal(2).reused(), 2u);
}

TEST(WorkloadTest, EndTokensAndPrefixCacheAsAsked) {
  Dataset dataset = Synthetic(1, 3);
  dataset.entries[0].answer = "x";
  dataset.entries[0].has_answer = true;
  const PlannedRequest exact = Workload(dataset, {}).Deal(1).At(0);
  EXPECT_TRUE(exact.request.ignore_eos());
  EXPECT_TRUE(exact.request.no_prefix_cache());
  EXPECT_FALSE(exact.check_answer);
  WorkloadOptions options;
  options.honor_eos = true;
  options.prefix_cache = true;
  const PlannedRequest answered = Workload(dataset, options).Deal(1).At(0);
  EXPECT_FALSE(answered.request.ignore_eos());
  EXPECT_FALSE(answered.request.no_prefix_cache());
  EXPECT_TRUE(answered.check_answer);
  EXPECT_TRUE(answered.request.return_text());
  options = {};
  options.eos_id = 2;
  const PlannedRequest stopped = Workload(dataset, options).Deal(1).At(0);
  EXPECT_TRUE(stopped.request.ignore_eos());
  EXPECT_EQ(stopped.request.stop_token_ids(0), 2u);
}

}  // namespace
}  // namespace regatta
