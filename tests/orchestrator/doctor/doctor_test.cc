// All rules together, their text and JSON, and the driver and libraries.
#include "orchestrator/doctor/doctor.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/orchestrator/doctor/findings.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

GpuInventory OneGpu() {
  GpuInventory inventory;
  inventory.driver_version = "580.65.06";
  inventory.cuda_version = 13000;
  inventory.gpus.resize(1);
  inventory.peer_access = {{true}};
  return inventory;
}

TEST(Doctor, NoDriverIsAWarningAndABrokenOneAProblem) {
  DoctorFacts facts;
  facts.gpus = absl::NotFoundError("libnvidia-ml.so.1 is not on this host");
  EXPECT_EQ(Find(Diagnose(facts), "NVIDIA driver").level(), "warning");
  EXPECT_THAT(Find(Diagnose(facts), "NVIDIA driver").limit(), HasSubstr("no NVIDIA driver"));
  facts.gpus = absl::UnavailableError("Version Mismatch");
  EXPECT_EQ(Find(Diagnose(facts), "NVIDIA driver").level(), "problem");
  ExpectMendsWhereNeeded(Diagnose(facts));
}

TEST(Doctor, DriverMustBeOfTheMajorVersionThatWasBuiltFor) {
  GpuInventory inventory = OneGpu();
  const auto level = [&](int driver, int built) {
    inventory.cuda_version = driver;
    return Find(BuildFindings({built, {}}, inventory), "CUDA").level();
  };
  EXPECT_EQ(level(13000, 13010), "ok");
  EXPECT_EQ(level(12090, 13000), "problem");
  EXPECT_EQ(level(13000, 0), "warning") << "built without CUDA";
  EXPECT_TRUE(BuildFindings({13000, {}}, GpuInventory()).empty());
}

TEST(Doctor, LibrariesThatRanksNeed) {
  const BuildFacts found = {13000, {{"NCCL", "libnccl.so.2", "", 22809}}};
  EXPECT_EQ(Find(BuildFindings(found, OneGpu()), "NCCL").value(), "libnccl.so.2 2.28.9");
  const BuildFacts lost = {13000, {{"NCCL", "libnccl.so.2", "cannot open"}}};
  GpuInventory two = OneGpu();
  two.gpus.resize(2);
  EXPECT_EQ(Find(BuildFindings(lost, OneGpu()), "NCCL").level(), "warning") << "one rank";
  EXPECT_EQ(Find(BuildFindings(lost, two), "NCCL").level(), "problem");
  const BuildFacts blas = {13000, {{"cuBLASLt", "libcublasLt.so.13", "cannot open"}}};
  EXPECT_EQ(Find(BuildFindings(blas, OneGpu()), "cuBLASLt").level(), "problem");
}

std::vector<HostFinding> Three() {
  std::vector<HostFinding> findings(3);
  findings[0].set_level("ok");
  findings[0].set_subject("host");
  findings[0].set_what("NUMA");
  findings[0].set_value("1 node");
  findings[1].set_level("warning");
  findings[1].set_subject("GPU 0,1");
  findings[1].set_what("power limit");
  findings[1].set_value("500 W");
  findings[1].set_limit("default 700 W");
  findings[1].set_mend("sudo nvidia-smi -i 0,1 -pl 700");
  findings[2] = findings[1];
  findings[2].set_level("problem");
  return findings;
}

TEST(Doctor, TextAlignsAndShowsTheCommandBelow) {
  EXPECT_EQ(DoctorText(Three()),
            "LEVEL    OF       WHAT         VALUE   LIMIT\n"
            "ok       host     NUMA         1 node\n"
            "warning  GPU 0,1  power limit  500 W   default 700 W\n"
            "         -> sudo nvidia-smi -i 0,1 -pl 700\n"
            "problem  GPU 0,1  power limit  500 W   default 700 W\n"
            "         -> sudo nvidia-smi -i 0,1 -pl 700\n"
            "1 problem, 1 warning\n");
  EXPECT_EQ(FindingLine(Three()[1]), "GPU 0,1: power limit is 500 W (default 700 W)");
  EXPECT_EQ(FindingLine(Three()[0]), "host: NUMA is 1 node");
}

TEST(Doctor, JsonHasEveryField) {
  const nlohmann::json report = nlohmann::json::parse(DoctorJson(Three()));
  EXPECT_EQ(report["warnings"], 1);
  EXPECT_EQ(report["problems"], 1);
  ASSERT_EQ(report["findings"].size(), 3u);
  EXPECT_EQ(report["findings"][1], (nlohmann::json{{"level", "warning"},
                                                   {"subject", "GPU 0,1"},
                                                   {"what", "power limit"},
                                                   {"value", "500 W"},
                                                   {"limit", "default 700 W"},
                                                   {"mend", "sudo nvidia-smi -i 0,1 -pl 700"}}));
}

TEST(Doctor, ThisHostIsDiagnosed) {
  const std::vector<HostFinding> findings = Diagnose(ReadDoctorFacts(0));
  ExpectMendsWhereNeeded(findings);
  EXPECT_EQ(Find(findings, "CPUs").subject(), "host");
}

}  // namespace
}  // namespace regatta
