// What `regatta serve` prints and passes on; flags that it shares with benchmarks; load progress.
#include "orchestrator/serve/serve_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "common/flags.h"
#include "orchestrator/cluster/certificates.h"
#include "orchestrator/cluster/form_watcher.h"
#include "orchestrator/cluster/launch_display.h"
#include "orchestrator/terminal/status_line.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

ClusterDescription SmallCluster() {
  ClusterDescription cluster;
  cluster.set_model_name("small");
  cluster.mutable_layout()->set_attention_tp(1);
  cluster.mutable_limits()->set_max_batch_size(64);
  return cluster;
}

TEST(ServeText, TheUrlCanBeDialled) {
  ServeOptions options;
  EXPECT_EQ(ServeUrl(options), "http://127.0.0.1:8000");
  options.host = "0.0.0.0";
  EXPECT_EQ(ServeUrl(options), "http://127.0.0.1:8000");
  options.host = "::";
  options.tls_cert = "c.pem";
  EXPECT_EQ(ServeUrl(options), "https://[::1]:8000");
  options.host = "gpu-1.example";
  EXPECT_EQ(ServeUrl(options), "https://gpu-1.example:8000");
}

TEST(ServeText, TheCurlLineFitsModelKeysAndCertificate) {
  TempDir model;
  ServeOptions options;
  options.cluster.model = model.path();
  EXPECT_THAT(ReadyText(options, SmallCluster(), "a:1"),
              HasSubstr("curl http://127.0.0.1:8000/v1/completions \\\n"
                        "    -H 'Content-Type: application/json' \\\n"
                        "    -d '{\"model\":\"small\",\"prompt\":\"Hello\",\"max_tokens\":64}'"));
  model.Write("tokenizer_config.json", "{\"chat_template\": \"{{ x }}\"}");
  options.api_key_file = "my keys";
  options.tls_cert = "c.pem";
  options.served_model_name = "it's";
  const std::string text = ReadyText(options, SmallCluster(), "a:1");
  EXPECT_THAT(text, HasSubstr("curl https://127.0.0.1:8000/v1/chat/completions --insecure \\\n"));
  EXPECT_THAT(text, HasSubstr("Bearer $(sed '/^ *#/d; /^ *$/d; s/^[^:]*: *//; q' '/"));
  EXPECT_THAT(text, HasSubstr("{\"model\":\"it'\\''s\",\"messages\":"));
}

TEST(ServeText, AnOwnCertificateIsCheckedWhereItCanBe) {
  TempDir dir;
  CertificateOptions certificates;
  certificates.hosts = {"gpu-1.example", "127.0.0.1", "::1"};
  ASSERT_TRUE(InitCertificates(dir.File("certs"), certificates).ok());
  ServeOptions options;
  options.tls_cert = dir.File("certs/router.crt");
  for (const char* host : {"gpu-1.example", "127.0.0.1", "0.0.0.0", "::"}) {
    options.host = host;
    EXPECT_THAT(ReadyText(options, SmallCluster(), "a:1"),
                HasSubstr(" --cacert " + options.tls_cert + " "));
  }
  options.host = "gpu-2.example";
  EXPECT_THAT(ReadyText(options, SmallCluster(), "a:1"), HasSubstr(" --insecure "));
}

TEST(ServeText, WhoCanAskIsSaidWhereItMaySurprise) {
  ServeOptions options;
  for (const char* host : {"127.0.0.1", "localhost", "::1"}) {
    options.host = host;
    EXPECT_THAT(ReadyText(options, SmallCluster(), "a:1"), Not(HasSubstr("!"))) << host;
  }
  options.host = "0.0.0.0";
  EXPECT_THAT(ReadyText(options, SmallCluster(), "a:1"), HasSubstr("--api-key-file asks for keys"));
  options.api_key_file = "keys";
  EXPECT_THAT(ReadyText(options, SmallCluster(), "a:1"), HasSubstr("travel in plain text"));
}

TEST(StatusLine, TextIsCutToTheTerminal) {
  EXPECT_EQ(FitColumns("abcdef", 6), "abcdef");
  EXPECT_EQ(FitColumns("abcdefg", 6), "abc...");
  EXPECT_EQ(FitColumns("\xC3\xA4\xC3\xB6\xC3\xBC\xC3\xA4", 4), "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\xA4");
  EXPECT_EQ(FitColumns("\xC3\xA4\xC3\xB6\xC3\xBC\xC3\xA4g", 4), "\xC3\xA4...");
  EXPECT_EQ(FitColumns("abcd", 2), "");
}

TEST(ServeText, CopiesThatWereLostAreAnAlarmAndAnotherLayoutIsNone) {
  EXPECT_EQ(
      CopiesText(1, 2, 2, false, "logs", "group 1 is fenced: no heartbeat"),
      "! 1 of 2 copies of the model running; workers are started again, see logs. The router: "
      "group 1 is fenced: no heartbeat");
  EXPECT_EQ(CopiesText(1, 0, 2, false, "logs", ""), "! 1 of 2 copies of the model running");
  EXPECT_EQ(CopiesText(2, 1, 2, false, "logs", ""), "  2 of 2 copies of the model running");
  // From dp2 to tp2: on the way, and there.
  EXPECT_EQ(CopiesText(0, 2, 2, true, "logs", ""),
            "  0 of 2 copies of the model running: the pool takes another layout");
  EXPECT_EQ(CopiesText(1, 2, 1, false, "logs", ""), "  1 of 1 copy of the model running");
}

TEST(ServeText, LoadIsARateBetweenStates) {
  ClusterState before, now;
  before.set_time_ns(1'000'000'000);
  before.set_output_tokens(100);
  now.set_time_ns(3'000'000'000);
  now.set_output_tokens(500);
  now.set_running(3);
  now.set_kv_usage(0.25);
  EXPECT_EQ(LoadText(before, now),
            "3 running, 0 waiting, 200.0 tok/s, KV cache 25 % full, 0 requests done");
}

TEST(ServeRouterArguments, OnlyWhatWasGiven) {
  ServeOptions options;
  options.host = "::1";
  options.drain_timeout_s = 7;
  EXPECT_THAT(
      ServeRouterArguments(options, "f"),
      ElementsAre("--http", "[::1]:8000", "--http-address-file", "f", "--drain-timeout", "7"));
  options.api_key_file = "k";
  options.served_model_name = "n";
  EXPECT_THAT(ServeRouterArguments(options, "f"),
              ::testing::IsSupersetOf({"--api-key-file", "k", "--served-model-name", "n"}));
}

TEST(ServeRouterArguments, LimitsAreThoseOfTheRouter) {
  ServeOptions options;
  options.max_body = 1000;
  options.max_connections = 20;
  options.max_connections_per_peer = 0;
  options.max_queue_size = 7;
  options.metrics_vllm_names = true;
  std::vector<std::string> arguments = ServeRouterArguments(options, "f");
  arguments.erase(arguments.begin(), arguments.begin() + 6);
  EXPECT_THAT(arguments, ElementsAre("--http-max-body", "1000", "--http-max-connections", "20",
                                     "--http-max-connections-per-peer", "0", "--max-queue-size",
                                     "7", "--metrics-vllm-names"));
}

TEST(ClusterFlags, TheSpellingsOfOtherServersAreKnown) {
  CLI::App app;
  ClusterOptions options;
  AddClusterFlags(app, options);
  std::vector<std::string> words = {"x",    "--tp_size",
                                    "2",    "--pipeline-parallel-size",
                                    "3",    "--ep_size",
                                    "2",    "--max-model-len",
                                    "4096", "--max_num_tokens",
                                    "7680", "--max-num-seqs",
                                    "384",  "--kv_cache_free_gpu_memory_fraction",
                                    "0.8",  "--extra_llm_api_options",
                                    "f.yml"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  ASSERT_EQ(ParseFlags(app, static_cast<int>(argv.size()), argv.data()), -1);
  EXPECT_EQ(options.tp, 2u);
  EXPECT_EQ(options.pp, 3u);
  EXPECT_EQ(options.ep, 2u);
  EXPECT_EQ(options.max_seq_len, 4096u);
  EXPECT_EQ(options.max_num_tokens, 7680u);
  EXPECT_EQ(options.max_batch_size, 384u);
  EXPECT_EQ(options.kv_cache_fraction, 0.8);
  EXPECT_EQ(options.config, "f.yml");
  EXPECT_EQ(options.given.front(), "--tp");
}

TEST(FormWatcher, TheRankFurthestBehindCounts) {
  TempDir dir;
  dir.Write("log", "regatta-router: rank 0 (old:1): load 10 %\n");
  FormWatcher watcher(dir.File("log"));
  EXPECT_EQ(watcher.FurthestBehind().stage, "start");
  std::ofstream log(dir.File("log"), std::ios::app);
  log << "regatta-router: rank 0 (a:1): load 50 %\nregatta-router: rank 0 (b:1): connect 0 %\n"
      << std::flush;
  EXPECT_EQ(watcher.FurthestBehind().stage, "connect");
  log << "regatta-router: rank 0 (b:1): load 20 %\nserving\nrank 0 (b:1): load 30" << std::flush;
  EXPECT_EQ(watcher.FurthestBehind().stage, "load");
  EXPECT_DOUBLE_EQ(watcher.FurthestBehind().fraction, 0.2);
  log << " %\n" << std::flush;
  EXPECT_DOUBLE_EQ(watcher.FurthestBehind().fraction, 0.3);
}

TEST(FormProgress, ALineIsReadBack) {
  const auto stage = ParseFormStageLine("x: " + FormStageLine({"rank 0 (h:1)", "tune", 0.427}));
  ASSERT_TRUE(stage.has_value());
  EXPECT_EQ(stage->rank, "rank 0 (h:1)");
  EXPECT_EQ(stage->stage, "tune");
  EXPECT_DOUBLE_EQ(stage->fraction, 0.42);
  for (const char* other : {"", "rank 0 (h:1): formed; 1 GB", "): rank 0 (x 4 %", "load 42 %"}) {
    EXPECT_FALSE(ParseFormStageLine(other).has_value()) << other;
  }
}

TEST(LaunchDisplay, AStageHasALine) {
  EXPECT_EQ(FormatLaunchStage("load", 1, absl::Milliseconds(48)), "  load        done     48 ms");
  EXPECT_EQ(FormatLaunchStage("load", 0.42, absl::Milliseconds(12'400)),
            "  load        42 %    12.4 s");
  EXPECT_EQ(FormatLaunchStage("start", 0, absl::Seconds(1)), "  start                1.0 s");
}

}  // namespace
}  // namespace regatta
