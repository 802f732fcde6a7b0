// From flags to fields, and what a result says of where it was measured.
#include "orchestrator/benchmark/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/benchmark/environment.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PointReport RunAt(uint32_t concurrency, double throughput) {
  PointReport run;
  run.mutable_regatta()->set_concurrency(concurrency);
  run.mutable_performance()->set_system_output_throughput_tok_s(throughput);
  return run;
}

TEST(AskFiguresTest, ObjectivesPriceAndIdleGpusOfThePool) {
  BenchmarkOptions options;
  options.goodput = {"ttft:500", "e2el:2000"};
  options.gpu_hour_price = 2.5;
  ClusterDescription cluster;
  for (const int group : {0, 0, -1, -1, -1}) {
    PoolWorker& worker = *cluster.add_workers();
    worker.set_group(group);
    worker.mutable_description()->set_device_kind("cuda");
  }
  cluster.mutable_workers(4)->mutable_description()->set_device_kind("cpu");
  RegattaInfo info;
  AskFigures(options, cluster, info);
  EXPECT_EQ(info.goodput().objectives_size(), 2);
  EXPECT_DOUBLE_EQ(info.cost().gpu_hour_price(), 2.5);
  EXPECT_EQ(info.idle_gpus(), 2u);
  RegattaInfo plain;
  AskFigures(BenchmarkOptions(), ClusterDescription(), plain);
  EXPECT_FALSE(plain.has_goodput());
  EXPECT_FALSE(plain.has_cost());
}

TEST(KeepRunTest, OneRunIsAPointAndSeveralAreSummarised) {
  BenchmarkOptions once, twice;
  twice.repeats = 2;
  SweepReport single, repeated;
  KeepRun(once, RunAt(4, 10), /*interrupted=*/true, single);
  EXPECT_EQ(single.points_size(), 1) << "what was measured before Ctrl-C is a point";
  EXPECT_EQ(single.runs_size(), 0);
  KeepRun(twice, RunAt(4, 10), false, repeated);
  KeepRun(twice, RunAt(1, 3), false, repeated);
  KeepRun(twice, RunAt(4, 1), /*interrupted=*/true, repeated);
  EXPECT_EQ(repeated.runs_size(), 2) << "half a run says nothing beside whole ones";
  ASSERT_EQ(repeated.points_size(), 2);
  EXPECT_EQ(repeated.points(0).regatta().concurrency(), 1u);
}

TEST(StandalonePointTest, SaysWhereItComesFrom) {
  SweepReport sweep;
  sweep.set_command("regatta throughput --concurrency 4");
  sweep.set_commit("abc");
  sweep.set_configuration("concurrency=4\n");
  sweep.mutable_environment()->set_driver("580.65.06");
  *sweep.add_points() = RunAt(4, 10);
  const RunDescription run = StandalonePoint(sweep).regatta().run();
  EXPECT_EQ(run.command(), sweep.command());
  EXPECT_EQ(run.commit(), "abc");
  EXPECT_EQ(run.configuration(), "concurrency=4\n");
  EXPECT_EQ(run.environment().driver(), "580.65.06");
}

TEST(DescribeGpusTest, DriverLibrariesGpusAndPeerAccess) {
  DoctorFacts facts;
  Environment environment;
  DescribeGpus(facts, environment);  // no driver here
  EXPECT_EQ(environment.gpus_size(), 0);
  facts.gpus = GpuInventory();
  facts.gpus->driver_version = "580.65.06";
  facts.gpus->cuda_version = 13000;
  facts.build.cuda_version = 12090;
  facts.build.libraries.push_back({"NCCL", "libnccl.so.2", "", 22809});
  GpuFacts gpu;
  gpu.name = "NVIDIA H100";
  gpu.memory_bytes = uint64_t{80} << 30;
  gpu.power_limit_mw = 700'000;
  gpu.sm_clock_max_mhz = 1980;
  gpu.active_nvlinks = 18;
  gpu.numa_node = 0;
  facts.gpus->gpus = {gpu, gpu};
  facts.gpus->gpus[1].used = false;
  facts.gpus->peer_access = {{true, true}, {false, true}};
  DescribeGpus(facts, environment);
  EXPECT_EQ(environment.driver(), "580.65.06");
  EXPECT_EQ(environment.driver_cuda(), "13.0");
  EXPECT_EQ(environment.built_cuda(), "12.9");
  EXPECT_EQ(environment.nccl(), "2.28.9");
  EXPECT_THAT(environment.peer_access(), ElementsAre("11", "01"));
  ASSERT_EQ(environment.gpus_size(), 2);
  EXPECT_DOUBLE_EQ(environment.gpus(0).memory_gb(), 80);
  EXPECT_DOUBLE_EQ(environment.gpus(0).power_limit_w(), 700);
  EXPECT_EQ(environment.gpus(0).nvlinks(), 18u);
  EXPECT_TRUE(environment.gpus(0).has_numa_node());
  EXPECT_FALSE(environment.gpus(1).used());
  EXPECT_EQ(environment.gpus(1).index(), 1u);
}

TEST(EnvironmentTest, WorkersElsewhereTellOfTheirGpus) {
  ClusterDescription cluster;
  for (int i = 0; i < 3; ++i) {
    PoolWorker& worker = *cluster.add_workers();
    worker.set_group(i < 2 ? 0 : -1);
    GpuSoftware& software = *worker.mutable_description()->mutable_gpu_software();
    software.set_driver(i == 0 ? "580.65.06" : "570.10");
    software.set_driver_cuda(13000);
    software.set_cuda(12090);
    software.set_nccl(22809);
    worker.mutable_description()->mutable_gpu()->set_power_limit_w(500 + i);
  }
  cluster.add_workers()->mutable_description()->set_device_kind("cpu");
  const Environment environment = DescribeEnvironment(cluster);
  EXPECT_EQ(environment.driver(), "570.10, 580.65.06");
  EXPECT_EQ(environment.driver_cuda(), "13.0");
  EXPECT_EQ(environment.built_cuda(), "12.9");
  EXPECT_EQ(environment.nccl(), "2.28.9");
  ASSERT_EQ(environment.gpus_size(), 3);
  EXPECT_EQ(environment.gpus(1).index(), 1u);
  EXPECT_EQ(environment.gpus(1).power_limit_w(), 501);
  EXPECT_TRUE(environment.gpus(1).used());
  EXPECT_FALSE(environment.gpus(2).used()) << "idle";
  // Of an older router, or one of CPU ranks, nothing is known.
  for (PoolWorker& worker : *cluster.mutable_workers()) {
    worker.mutable_description()->clear_gpu();
    worker.mutable_description()->clear_gpu_software();
  }
  EXPECT_EQ(DescribeEnvironment(cluster).driver(), "");
  EXPECT_EQ(DescribeEnvironment(cluster).gpus_size(), 0);
}

TEST(CheckFiguresTest, WhatNeedsTokenTimesIsRefusedWithoutThem) {
  BenchmarkOptions options;
  options.streaming = false;
  EXPECT_TRUE(CheckFigures(options).ok());
  options.goodput = {"e2el:5"};
  EXPECT_TRUE(CheckFigures(options).ok());
  options.goodput = {"tpot:5"};
  EXPECT_THAT(std::string(CheckFigures(options).message()),
              HasSubstr("--goodput tpot needs --streaming"));
}

}  // namespace
}  // namespace regatta
