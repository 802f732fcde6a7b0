// `regatta cluster` against a Cluster service of this process: what is asked, printed and refused.
#include <gmock/gmock.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/cluster/child_process.h"
#include "orchestrator/cluster/cluster_text.h"
#include "proto/cluster.grpc.pb.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

ClusterDescription SmallCluster() {
  ClusterDescription cluster;
  cluster.set_version("1.2");
  cluster.set_model_name("small");
  cluster.set_architecture("LlamaForCausalLM");
  cluster.set_parameters(123456);
  cluster.set_vocab_size(512);
  cluster.mutable_model()->set_dtype("float32");
  cluster.mutable_layout()->set_attention_tp(2);
  cluster.mutable_limits()->set_max_batch_size(64);
  cluster.mutable_limits()->set_max_num_tokens(2048);
  cluster.mutable_limits()->set_max_seq_len(4096);
  cluster.mutable_limits()->set_reasoning("KV cache holds 81920 tokens\nof 1280 each: 64\n");
  cluster.set_kv_cache_fraction(0.9);
  GroupDescription& group = *cluster.add_groups();
  group.set_epoch(7);
  group.set_state("running");
  group.set_kv_blocks(10);
  group.set_block_size(16);
  group.add_addresses("127.0.0.1:9001");
  group.add_addresses("127.0.0.1:9002");
  for (int i = 1; i <= 3; ++i) {
    PoolWorker& worker = *cluster.add_workers();
    worker.set_address(absl::StrCat("127.0.0.1:900", i));
    worker.set_group(i < 3 ? 0 : -1);
    worker.mutable_description()->set_device_kind("cpu");
    worker.mutable_description()->set_memory_bytes(3ull << 29);
  }
  return cluster;
}

// Keeps what it was asked; a layout of pp above one is refused, and it is busy for dp 2.
class RecordingCluster final : public Cluster::Service {
 public:
  grpc::Status Describe(grpc::ServerContext*, const ClusterDescribeRequest*,
                        ClusterDescription* description) override {
    *description = SmallCluster();
    return grpc::Status::OK;
  }
  grpc::Status Repartition(grpc::ServerContext* context, const RepartitionRequest* request,
                           grpc::ServerWriter<RepartitionProgress>* writer) override {
    repartition = *request;
    wait = absl::FromChrono(context->deadline() - std::chrono::system_clock::now());
    if (request->layout().pp() > 1) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "pp 3 does not divide; what fits: tp2"};
    }
    if (request->layout().copies() == 2) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "another repartition is under way"};
    }
    RepartitionProgress progress;
    progress.set_stage("draining");
    progress.set_live_sequences(5);
    writer->Write(progress);
    progress.set_stage("done");
    progress.set_form_seconds(1.25);
    progress.set_total_seconds(1.5);
    writer->Write(progress);
    return grpc::Status::OK;
  }
  grpc::Status Drain(grpc::ServerContext*, const DrainRequest* request,
                     DrainResponse* response) override {
    drain = *request;
    response->set_completed(11);
    response->set_cancelled(2);
    return grpc::Status::OK;
  }

  RepartitionRequest repartition;
  absl::Duration wait;  // until the client gives up
  DrainRequest drain;
};

class ClusterCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int port = 0;
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    url_ = absl::StrCat("grpc://127.0.0.1:", port);
    log_ = fs::path(::testing::TempDir()) / absl::StrCat("cluster-command-", ::getpid());
  }
  void TearDown() override { fs::remove(log_); }

  // "exit code N" of `regatta cluster ARGUMENTS`, whose output output_ holds then.
  std::string Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "cluster");
    return RunCommand(std::move(arguments));
  }
  std::string RunCommand(std::vector<std::string> arguments) {
    fs::remove(log_);
    arguments.insert(arguments.begin(), REGATTA_BIN_DIR "/regatta");
    const auto child = ChildProcess::Start("regatta", arguments, log_);
    EXPECT_TRUE(child.ok()) << child.status();
    for (int i = 0; i < 3000 && !(*child)->Ended().has_value(); ++i) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    std::ostringstream text;
    text << std::ifstream(log_).rdbuf();
    output_ = text.str();
    return (*child)->Ended().value_or("still running");
  }

  RecordingCluster service_;
  std::unique_ptr<grpc::Server> server_;
  std::string url_, output_;
  fs::path log_;
};

TEST_F(ClusterCommandTest, DescribePrintsWhatServes) {
  ASSERT_EQ(Run({"describe", "--url", url_}), "exit code 0") << output_;
  EXPECT_EQ(output_, ClusterText(SmallCluster()));
  EXPECT_THAT(output_, HasSubstr("small, LlamaForCausalLM, 123456 parameters"));
  EXPECT_THAT(output_, HasSubstr("Layout:   tp2\n"));
  EXPECT_THAT(output_, HasSubstr("64 sequences and 2048 tokens a step, 4096 tokens a sequence\n"
                                 "          KV cache holds 81920 tokens\n"
                                 "          of 1280 each: 64\n"));
  EXPECT_THAT(output_,
              HasSubstr("0      7      running  160        127.0.0.1:9001 127.0.0.1:9002"));
  EXPECT_THAT(output_, HasSubstr("127.0.0.1:9003  idle "));
  EXPECT_THAT(output_, HasSubstr("1.50 GiB"));
  EXPECT_THAT(output_, Not(HasSubstr("GPUs:")));
}

TEST(ClusterTextTest, GpusAreToldWithTheirSoftware) {
  ClusterDescription cluster = SmallCluster();
  for (PoolWorker& worker : *cluster.mutable_workers()) {
    WorkerDescription& device = *worker.mutable_description();
    device.set_device_kind("cuda");
    device.set_device_name("NVIDIA H200");
    device.mutable_gpu()->set_power_limit_w(700);
    device.mutable_gpu_software()->set_driver("580.65.06");
    device.mutable_gpu_software()->set_cuda(13000);
  }
  cluster.mutable_workers(2)->mutable_description()->mutable_gpu_software()->set_driver("570.10");
  EXPECT_THAT(ClusterText(cluster), HasSubstr("GPUs:     driver 570.10, 580.65.06, CUDA 13.0\n"));
  EXPECT_THAT(ClusterText(cluster), HasSubstr("cuda: NVIDIA H200, limit 700 W\n"));
}

TEST_F(ClusterCommandTest, ABusyRouterIsNoBadInput) {
  EXPECT_EQ(Run({"repartition", "--url", url_, "--dp", "2"}), "exit code 1");
  EXPECT_THAT(output_, HasSubstr("another repartition is under way"));
}

TEST_F(ClusterCommandTest, HealthIsWhatTheServerSaysOfItself) {
  server_->GetHealthCheckService()->SetServingStatus(false);
  EXPECT_NE(Run({"health", "--url", url_}), "exit code 0");
  EXPECT_THAT(output_, HasSubstr("the server answers NOT_SERVING"));
  server_->GetHealthCheckService()->SetServingStatus(true);
  EXPECT_EQ(Run({"health", "--url", url_}), "exit code 0");
  EXPECT_EQ(output_, "serving\n");
}

TEST_F(ClusterCommandTest, RepartitionAsksForTheLayoutAndPrintsTimes) {
  ASSERT_EQ(Run({"repartition", "--url", url_, "--tp", "4", "--ep", "2", "--dp", "3",
                 "--keep_limits", "--timeout", "7"}),
            "exit code 0")
      << output_;
  const Layout& layout = service_.repartition.layout();
  EXPECT_EQ(layout.attention_tp(), 4u);
  EXPECT_EQ(layout.expert_ep(), 2u);
  EXPECT_EQ(layout.copies(), 3u);
  EXPECT_TRUE(service_.repartition.keep_limits());
  EXPECT_EQ(service_.repartition.timeout_ms(), 7000u);
  EXPECT_GT(service_.wait, absl::Seconds(7 + 7 + 60));  // Two formings and all around them.
  EXPECT_THAT(output_, HasSubstr("draining       0%  5 live sequences\n"));
  EXPECT_THAT(output_,
              HasSubstr("done in 1.50 s: draining 0.00 s, dissolving 0.00 s, forming 1.25"));
}

TEST_F(ClusterCommandTest, WhatTheRouterRefusesIsSaid) {
  EXPECT_EQ(Run({"repartition", "--url", url_, "--pp", "3"}), "exit code 2");
  EXPECT_THAT(output_, HasSubstr("pp 3 does not divide; what fits: tp2"));
  EXPECT_THAT(output_, Not(HasSubstr("done")));
}

TEST_F(ClusterCommandTest, DrainPrintsCounts) {
  ASSERT_EQ(Run({"drain", "--url", url_, "--deadline", "2.5"}), "exit code 0") << output_;
  EXPECT_EQ(service_.drain.deadline_ms(), 2500u);
  EXPECT_THAT(output_, HasSubstr("11 requests completed, 2 cancelled"));
}

// Its limit is known once it has described itself, before the first request.
TEST_F(ClusterCommandTest, LinesOverTheLimitOfARunningServerAreNamed) {
  const TempDir dir;
  dir.Write("data.jsonl",
            "{\"input_ids\": [5], \"output_tokens\": 9}\n"
            "{\"input_ids\": [5, 6], \"output_tokens\": 5000}\n"
            "{\"turns\": [{\"input_ids\": [5], \"output_tokens\": 2000},"
            " {\"input_ids\": [5], \"output_tokens\": 3000}]}\n");
  EXPECT_EQ(RunCommand({"sweep", "--url", url_, "--dataset", dir.File("data.jsonl"), "--output",
                        dir.File("results")}),
            "exit code 2");
  EXPECT_THAT(output_, HasSubstr("data.jsonl:2: 2 tokens in and 5000 out are 5002, over 4096, "
                                 "max_seq_len of the server at 127.0.0.1:"));
  EXPECT_THAT(output_, HasSubstr("; so are 2 of 3 lines: shorten them or leave them out"));
}

TEST_F(ClusterCommandTest, BadCommandLinesAreRefused) {
  EXPECT_EQ(Run({"describe"}), "exit code 2");
  EXPECT_THAT(output_, HasSubstr("--url is required"));
  EXPECT_EQ(Run({"describe", "--url", "http://x:1"}), "exit code 2");
  EXPECT_THAT(output_, HasSubstr("grpc://"));
  EXPECT_EQ(Run({"repartition", "--url", url_}), "exit code 2");
  EXPECT_EQ(Run({"repartition", "--url", url_, "--tp", "0"}), "exit code 2");
  EXPECT_THAT(output_, HasSubstr("--tp: 0 is outside 1 to 65536"));
  EXPECT_EQ(Run({"repartition", "--url", url_, "--tp", "2", "--ep", "4"}), "exit code 2");
  EXPECT_EQ(Run({}), "exit code 2");
}

}  // namespace
}  // namespace regatta
