// A fixture for plans made by hand, over one group of a tiny dummy model.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/check.h"
#include "common/layout.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/threaded_group.h"

namespace regatta {

inline Layout LayoutOf(uint32_t tp, uint32_t pp = 1, uint32_t ep = 1) {
  auto layout = MakeLayout(tp, pp, ep, 1);
  CHECK(layout.ok()) << layout.status();
  return *layout;
}

// Tokens below 256 that differ from one to the next.
inline std::vector<uint32_t> Range(uint32_t first, uint32_t count) {
  std::vector<uint32_t> tokens(count);
  for (uint32_t i = 0; i < count; ++i) tokens[i] = (first + 7 * i) % 256;
  return tokens;
}

class PlanFixture : public ::testing::Test {
 protected:
  GroupOptions Options(const std::string& config, const Layout& layout) {
    dir_.Write("config.json", config);
    GroupOptions options;
    options.model.set_path(dir_.path());
    options.model.set_dummy_weights(true);
    options.model.set_dummy_seed(3);
    options.layout = layout;
    return options;
  }
  void Form(const GroupOptions& options) {
    auto group = ThreadedGroup::Form(options);
    ASSERT_TRUE(group.ok()) << group.status();
    group_ = *std::move(group);
    step_ = 0;
  }

  StepPlan& Start() {
    plan_.Clear();
    plan_.set_step_id(++step_);
    return plan_;
  }
  Admission& Admit(uint32_t slot, uint32_t prompt_length) {
    Admission& admission = *plan_.add_admissions();
    admission.set_slot(slot);
    admission.set_prompt_length(prompt_length);
    return admission;
  }
  // Without tokens: one that was drawn.
  void Entry(uint32_t slot, uint32_t start, const std::vector<uint32_t>& tokens,
             const std::vector<uint32_t>& new_blocks, uint32_t flags) {
    plan_.add_slot(slot);
    plan_.add_start(start);
    plan_.add_count(tokens.empty() ? 1 : static_cast<uint32_t>(tokens.size()));
    plan_.add_flags(flags | (tokens.empty() ? 0 : STEP_FLAG_INLINE_TOKENS));
    plan_.add_new_block_count(static_cast<uint32_t>(new_blocks.size()));
    for (uint32_t block : new_blocks) plan_.add_new_blocks(block);
    for (uint32_t token : tokens) plan_.add_tokens(token);
  }
  absl::StatusOr<StepResult> Run() {
    group_->Dispatch(plan_);
    return group_->Next();
  }

  TempDir dir_;
  std::unique_ptr<ThreadedGroup> group_;
  StepPlan plan_;
  uint64_t step_ = 0;
};

}  // namespace regatta
