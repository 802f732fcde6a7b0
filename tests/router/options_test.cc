// Options of regatta-router: the file below the flags, both checked, and what reaches the cluster.
#include "router/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OptionsTest : public testing::Test {
 protected:
  // With `yaml` as the configuration file and `flags` besides it.
  RouterOptions Parse(const std::string& yaml, std::vector<std::string> flags = {}) {
    dir_.Write("server.yml", yaml);
    std::vector<std::string> words = {
        "regatta-router", "--model",  "/models/some",         "--workers",
        "[::1]:1",        "--config", dir_.File("server.yml")};
    words.insert(words.end(), flags.begin(), flags.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    testing::internal::CaptureStderr();
    RouterOptions options =
        ParseRouterOptions(static_cast<int>(argv.size()), argv.data(), exit_code_);
    error_ = testing::internal::GetCapturedStderr();
    return options;
  }
  std::optional<GraphOptions> Graphs(const std::string& yaml,
                                     const std::vector<std::string>& flags = {}) {
    const RouterOptions options = Parse(yaml, flags);
    EXPECT_EQ(exit_code_, -1) << error_;
    return options.coordinator.former.graphs;
  }
  std::string Error(const std::string& yaml, const std::vector<std::string>& flags = {}) {
    Parse(yaml, flags);
    EXPECT_GT(exit_code_, 0);
    return error_;
  }

  TempDir dir_;
  int exit_code_ = -1;
  std::string error_;
};

TEST_F(OptionsTest, GraphsAreTheWorkersBusinessUnlessAKeySaysSomething) {
  EXPECT_FALSE(Graphs("max_batch_size: 8").has_value());
  EXPECT_TRUE(Graphs("use_cuda_graph: true").has_value());
}

TEST_F(OptionsTest, WorkersAreTakenFromAnotherRouterOnlyWhereToldTo) {
  EXPECT_FALSE(Parse("").coordinator.former.take_over);
  EXPECT_TRUE(Parse("", {"--take-over"}).coordinator.former.take_over);
}

TEST_F(OptionsTest, GraphsAreTurnedOffByFileOrFlag) {
  EXPECT_TRUE(Graphs("cuda_graph_config: null")->disabled());
  EXPECT_TRUE(Graphs("use_cuda_graph: false\ncuda_graph_config: {max_batch_size: 4}")->disabled());
  EXPECT_TRUE(Graphs("", {"--cuda-graphs", "off"})->disabled());
  EXPECT_FALSE(Graphs("cuda_graph_config: null", {"--cuda_graphs", "on"})->disabled());
  EXPECT_THAT(Error("", {"--cuda-graphs", "maybe"}), HasSubstr("maybe"));
}

TEST_F(OptionsTest, DeterminismIsAskedForByFileOrFlag) {
  EXPECT_FALSE(Parse("max_batch_size: 8").coordinator.former.deterministic);
  EXPECT_TRUE(Parse("deterministic: true").coordinator.former.deterministic);
  EXPECT_TRUE(Parse("deterministic: false", {"--deterministic"}).coordinator.former.deterministic);
}

TEST_F(OptionsTest, GraphSizesComeInOrderAndOnce) {
  const auto graphs =
      Graphs("cuda_graph_config: {batch_sizes: [8, 1, 4, 8], enable_padding: false}");
  EXPECT_THAT(graphs->batch_sizes(), ElementsAre(1, 4, 8));
  EXPECT_TRUE(graphs->exact());
  EXPECT_EQ(graphs->max_batch_size(), 0);
  const auto article = Graphs("cuda_graph_config: {max_batch_size: 3840, padding_enabled: true}");
  EXPECT_FALSE(article->exact());
  EXPECT_EQ(article->max_batch_size(), 3840);
}

TEST_F(OptionsTest, GraphsOverAFlagsLargestBatchAreDroppedAndNamed) {
  const std::string yaml = "cuda_graph_config: {batch_sizes: [16, 1, 4, 8]}\nmax_batch_size: 16";
  const RouterOptions options = Parse(yaml, {"--max-batch-size", "4"});
  ASSERT_EQ(exit_code_, -1) << error_;
  EXPECT_THAT(options.coordinator.former.graphs->batch_sizes(), ElementsAre(1, 4));
  EXPECT_THAT(options.warnings, ElementsAre("cuda_graph_config.batch_sizes: 16, 8 dropped, over "
                                            "--max-batch-size 4"));
  EXPECT_TRUE(Parse(yaml).warnings.empty());
  // The file alone must agree with itself.
  EXPECT_THAT(Error("cuda_graph_config: {batch_sizes: [8]}\nmax_batch_size: 4"),
              HasSubstr("batch_sizes has 8; at most max_batch_size 4"));
}

TEST_F(OptionsTest, NumbersMustBeFinite) {
  for (const char* value : {"nan", "-nan", "inf", "1e400", "-1", "x", ""}) {
    EXPECT_THAT(Error("", {"--start-timeout", value}), HasSubstr("0 to 86400")) << value;
  }
  EXPECT_THAT(Error("", {"--kv-cache-free-gpu-mem-fraction", "nan"}), HasSubstr("nan"));
  Parse("", {"--start-timeout", "1.5e1"});
  EXPECT_EQ(exit_code_, -1) << error_;
}

TEST_F(OptionsTest, WorkersNeedAPort) {
  dir_.Write("workers", "host-a:9001\nhost-b\n");
  EXPECT_THAT(
      Error("", {"--worker-file", dir_.File("workers")}),
      HasSubstr("--workers, --worker-file: 'host-b' is not host:port with a port of 1 to 65535"));
  for (const char* address : {"127.0.0.1", "host:0", "host:65537", "host:", "host:x"}) {
    dir_.Write("workers", address);
    EXPECT_THAT(Error("", {"--worker-file", dir_.File("workers")}),
                HasSubstr(absl::StrCat("'", address, "' is not host:port with a port of 1")));
  }
}

TEST_F(OptionsTest, FirstComeFirstServedIgnoresPriorities) {
  EXPECT_FALSE(Parse("").coordinator.ignore_priority);
  EXPECT_FALSE(
      Parse("scheduler_config: {waiting_queue_policy: priority}").coordinator.ignore_priority);
  EXPECT_TRUE(Parse("scheduler_config: {waiting_queue_policy: fcfs}").coordinator.ignore_priority);
}

TEST_F(OptionsTest, PromptsArePacedUnlessToldOtherwise) {
  EXPECT_TRUE(Parse("").coordinator.pace_prompts);
  EXPECT_FALSE(Parse("scheduler_config: {pace_prompts: false}").coordinator.pace_prompts);
  EXPECT_FALSE(Parse("", {"--no-prompt-pacing"}).coordinator.pace_prompts);
}

TEST_F(OptionsTest, KeysWithoutEffectAreNamed) {
  const RouterOptions options =
      Parse("scheduler_config: {capacity_scheduler_policy: GUARANTEED_NO_EVICT}");
  EXPECT_THAT(options.ignored_keys, ElementsAre("scheduler_config.capacity_scheduler_policy"));
}

TEST_F(OptionsTest, FlagsOverrideTheFileAndAreCheckedAlike) {
  const RouterOptions options =
      Parse("max_batch_size: 8\nmax_num_tokens: 64", {"--max-batch-size", "16"});
  EXPECT_EQ(exit_code_, -1) << error_;
  EXPECT_EQ(options.coordinator.limits.max_batch_size(), 16);
  EXPECT_EQ(options.coordinator.limits.max_num_tokens(), 64);
  Parse("", {"--queue-timeout-ms", "0"});
  EXPECT_EQ(exit_code_, -1) << error_;
  EXPECT_THAT(Error("", {"--max-batch-size", "0"}),
              HasSubstr("--max-batch-size: 0 is outside 1 to 1048576"));
  EXPECT_THAT(Error("", {"--max-inflight", "65"}),
              HasSubstr("--max-inflight: 65 is outside 1 to 64"));
  EXPECT_THAT(Error("", {"--dtype", "int3"}), HasSubstr("'int3'"));
  EXPECT_THAT(Error("", {"--kv-cache-free-gpu-mem-fraction", "1.5"}), HasSubstr("1.5"));
}

TEST_F(OptionsTest, AddressesAreChecked) {
  EXPECT_THAT(Error("", {"--listen", "127.0.0.1"}), HasSubstr("not host:port"));
  EXPECT_THAT(Error("", {"--listen", "127.0.0.1:65536"}), HasSubstr("0 to 65535"));
  EXPECT_THAT(Error("", {"--http", "127.0.0.1"}), HasSubstr("--http: '127.0.0.1'"));
}

TEST_F(OptionsTest, HttpIsOffUnlessAskedFor) {
  EXPECT_EQ(Parse("").http.listen, "");
  const RouterOptions options =
      Parse("", {"--http", "[::]:8000", "--http-max-body", "1000", "--api_key_file", "keys"});
  EXPECT_EQ(exit_code_, -1) << error_;
  EXPECT_EQ(options.http.listen, "[::]:8000");
  EXPECT_EQ(options.http.limits.max_body_bytes, 1000);
  EXPECT_EQ(options.http.api_key_file, "keys");
  EXPECT_THAT(Error("", {"--api-key-file", "keys"}), HasSubstr("--http"));
  EXPECT_THAT(Error("", {"--http", "a:1", "--http-tls-cert", "x"}), HasSubstr("together"));
  EXPECT_THAT(Error("", {"--http", "a:1", "--http-max-connections", "0"}),
              HasSubstr("http-max-connections"));
}

TEST_F(OptionsTest, VllmNamesOfMetricsAreAskedFor) {
  EXPECT_FALSE(Parse("", {"--http", "a:1"}).metrics_vllm_names);
  EXPECT_TRUE(Parse("", {"--http", "a:1", "--metrics-vllm-names"}).metrics_vllm_names);
  EXPECT_THAT(Error("", {"--metrics-vllm-names"}), HasSubstr("--http"));
}

TEST_F(OptionsTest, ServedNamesAndToolCallsAreForTheHttpApi) {
  EXPECT_THAT(Parse("").served_model_names, testing::IsEmpty());
  EXPECT_EQ(Parse("").tool_call_syntax, "auto");
  const RouterOptions options =
      Parse("", {"--served-model-name", "org/model", "short", "--tool-call-syntax", "hermes"});
  EXPECT_EQ(exit_code_, -1) << error_;
  EXPECT_THAT(options.served_model_names, ElementsAre("org/model", "short"));
  EXPECT_EQ(options.tool_call_syntax, "hermes");
  for (const std::vector<std::string>& empty : {std::vector<std::string>{"--served-model-name", ""},
                                                {"--served-model-name", "short", ""},
                                                {"--served-model-name=", "--http", "a:1"},
                                                {"--served_model_name="}}) {
    EXPECT_THAT(Error("", empty), HasSubstr("--served-model-name: the value is empty"));
  }
  Parse("", {"--tool-call-syntax", "pythonic"});
  EXPECT_GT(exit_code_, 0);
}

}  // namespace
}  // namespace regatta
