// Both stream modes against the null server over loopback gRPC: completeness, timing, failures.
#include "orchestrator/grpc/grpc_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/grpc/channel.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/load/load_generator.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

Dataset MakeDataset(uint32_t entries, uint32_t output_tokens) {
  Dataset dataset;
  DatasetEntry entry;
  entry.input_ids = {1, 2, 3, 4, 5};
  entry.output_tokens = output_tokens;
  dataset.entries.assign(entries, entry);
  return dataset;
}

std::unique_ptr<NullServer> Serve(const NullTiming& timing) {
  auto server = NullServer::Start("127.0.0.1:0", timing, TlsOptions());
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

std::shared_ptr<grpc::Channel> Dial(const NullServer& server) {
  auto channel = Connect(server.address(), TlsOptions(), absl::Seconds(10));
  EXPECT_TRUE(channel.ok()) << channel.status();
  return *channel;
}

class GrpcTargetTest : public ::testing::TestWithParam<StreamMode> {
 protected:
  LoadResult Load(Target& target, uint32_t requests, uint32_t tokens, uint32_t concurrency,
                  const LoadGenerator::OnProgress& progress = nullptr) {
    dataset_ = MakeDataset(requests, tokens);
    LoadOptions options;
    options.concurrency = concurrency;
    options.stall_timeout = absl::Seconds(10);
    return LoadGenerator(target).Run(Workload(dataset_, {}).Deal(requests), options, stop_,
                                     progress);
  }
  Dataset dataset_;
  std::atomic<bool> stop_{false};
};

TEST_P(GrpcTargetTest, EveryTokenArrives) {
  const auto server = Serve({0, 0, 1});
  const auto target = MakeGrpcTarget(Dial(*server), GetParam());
  const LoadResult result = Load(*target, 100, 17, 8);
  ASSERT_EQ(result.samples.requests.size(), 100u);
  for (const RequestRecord& record : result.samples.requests) {
    EXPECT_EQ(record.error(), "");
    EXPECT_EQ(record.output_tokens(), 17u);
    EXPECT_EQ(record.input_tokens(), 5u);
    EXPECT_EQ(record.finish_reason(), "length");
  }
  EXPECT_EQ(result.peak_in_flight, 8u);
}

TEST_P(GrpcTargetTest, MeasuresTheServersTiming) {
  const auto server = Serve({30'000'000, 5'000'000, 2});
  const auto target = MakeGrpcTarget(Dial(*server), GetParam());
  PointReport context;
  context.mutable_regatta()->set_streaming(true);
  const PointReport report = CompletePoint(context, Load(*target, 12, 11, 4).samples);
  EXPECT_GE(report.streaming_metrics().ttft_percentiles().minimum(), 29.9);
  EXPECT_LT(report.streaming_metrics().ttft_percentiles().p50(), 45);
  EXPECT_NEAR(report.regatta().itl_ms().p50(), 2.5, 1);  // two tokens per 5 ms
}

TEST_P(GrpcTargetTest, ADeadServerFailsEveryRequestSoon) {
  auto server = Serve({0, 2'000'000, 1});
  const auto target = MakeGrpcTarget(Dial(*server), GetParam());
  uint32_t failed = 0;
  const LoadResult result = Load(*target, 40, 400, 4, [&](const LoadProgress& progress) {
    if (progress.output_tokens > 0) server.reset();
    failed = progress.failed;
  });
  EXPECT_EQ(failed, 40u);
  ASSERT_EQ(result.samples.requests.size(), 40u);
  for (const RequestRecord& record : result.samples.requests) EXPECT_NE(record.error(), "");
}

TEST_P(GrpcTargetTest, StoppingCancels) {
  const auto server = Serve({0, 20'000'000, 1});
  const auto target = MakeGrpcTarget(Dial(*server), GetParam());
  const LoadResult result = Load(*target, 40, 4000, 4, [&](const LoadProgress&) { stop_ = true; });
  EXPECT_TRUE(result.interrupted);
  EXPECT_TRUE(result.samples.requests.empty());
}

TEST_P(GrpcTargetTest, CanBeDestroyedWithRequestsRunning) {
  const auto server = Serve({0, 50'000'000, 1});
  const auto target = MakeGrpcTarget(Dial(*server), GetParam());
  GenerateRequest request;
  request.set_max_tokens(1000);
  for (uint64_t tag = 0; tag < 10; ++tag) target->Start(tag, request);
}

INSTANTIATE_TEST_SUITE_P(Modes, GrpcTargetTest,
                         ::testing::Values(StreamMode::kPerRequest, StreamMode::kMultiplexed),
                         [](const auto& mode) {
                           return mode.param == StreamMode::kPerRequest ? "PerRequest"
                                                                        : "Multiplexed";
                         });

TEST(StreamModeTest, UnknownNamesAreRefused) {
  EXPECT_EQ(*ParseStreamMode("per-request"), StreamMode::kPerRequest);
  EXPECT_THAT(std::string(ParseStreamMode("both").status().message()), HasSubstr("'both'"));
}

TEST(ChannelTest, UrlsAreCheckedAndSilenceHasADeadline) {
  EXPECT_EQ(*AddressOfUrl("grpc://router:9000/"), "router:9000");
  for (const char* url : {"http://x:1", "grpc://x", "grpc://:80", "grpc://x:0", "grpc://x:99999"}) {
    EXPECT_THAT(std::string(AddressOfUrl(url).status().message()), HasSubstr(url));
    EXPECT_THAT(std::string(AddressOfUrl(url, "--service").status().message()),
                HasSubstr("--service '"));
  }
  const auto silent = Connect("127.0.0.1:1", TlsOptions(), absl::Milliseconds(200));
  EXPECT_EQ(silent.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(silent.status().message()), HasSubstr("127.0.0.1:1"));
  const auto open = Connect("192.0.2.1:80", TlsOptions(), absl::Milliseconds(200));
  EXPECT_EQ(open.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ClusterClientTest, TheNullServerIsReadyAndNoPerformanceFigure) {
  const auto server = Serve({});
  const auto cluster = AwaitReady(Dial(*server), absl::Seconds(5), [] { return absl::OkStatus(); });
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const PointReport context = ContextOf(*cluster);
  EXPECT_EQ(context.engine().model(), "null");
  EXPECT_EQ(context.world_info().world_size(), 1u);
  EXPECT_FALSE(context.regatta().performance_figure());
  EXPECT_EQ(context.machine().name(), "null server");
}

TEST(ClusterClientTest, WaitingEndsWithTheCheck) {
  const auto server = Serve({});
  const auto channel = Dial(*server);
  const auto cluster =
      AwaitReady(channel, absl::Seconds(60), [] { return absl::AbortedError("worker 1 exited"); });
  EXPECT_EQ(cluster.status().code(), absl::StatusCode::kAborted);
}

TEST(ContextTest, GpusCountAsAFigureAndDummyWeightsAreSaid) {
  ClusterDescription cluster;
  cluster.mutable_model()->set_dummy_weights(true);
  cluster.mutable_layout()->set_attention_tp(4);
  cluster.mutable_layout()->set_copies(2);
  for (int i = 0; i < 8; ++i) {
    WorkerDescription& worker = *cluster.add_workers()->mutable_description();
    worker.set_device_kind("cuda");
    worker.set_device_name("NVIDIA H200");
    worker.set_memory_bytes(uint64_t{141} << 30);
  }
  PointReport context = ContextOf(cluster);
  EXPECT_TRUE(context.regatta().performance_figure());
  EXPECT_TRUE(context.regatta().dummy_weights());
  EXPECT_EQ(context.machine().name(), "NVIDIA H200");
  EXPECT_DOUBLE_EQ(context.machine().memory(), 141);
  EXPECT_EQ(context.world_info().world_size(), 8u);
  EXPECT_EQ(context.world_info().dp_size(), 2u);
  cluster.mutable_workers(3)->mutable_description()->set_device_kind("cpu");
  context = ContextOf(cluster);
  EXPECT_FALSE(context.regatta().performance_figure());
  EXPECT_EQ(context.machine().name(), "CPU ranks");
  EXPECT_EQ(context.regatta().device_note(), "CPU ranks, not a performance figure");
}

TEST(ContextTest, OfAServerBehindHttpNothingIsClaimed) {
  ClusterDescription cluster;
  cluster.add_workers()->mutable_description()->set_device_kind(kRemoteDevice);
  const WorldInfo world = ContextOf(cluster).world_info();
  EXPECT_EQ(world.world_size(), 1u);  // which it counts as
  EXPECT_FALSE(world.has_tp_size());
  EXPECT_FALSE(world.has_max_batch_size());
  EXPECT_FALSE(world.has_scheduling_policy());
  EXPECT_FALSE(world.has_kv_cache_percentage());
}

}  // namespace
}  // namespace regatta
