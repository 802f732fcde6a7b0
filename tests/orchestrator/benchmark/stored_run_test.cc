// Files of runs as people name them: single ones, and folders of them.
#include "orchestrator/benchmark/stored_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/statistics/load_name.h"
#include "tests/orchestrator/formats/small_run.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class FolderImportTest : public ::testing::Test {
 protected:
  // Exports two points, of users and of a rate, in these formats.
  void Export(const std::vector<std::string>& formats) {
    StoredRun run = SmallRun();
    PointReport& rate = *run.sweep.add_points() = run.sweep.points(0);
    rate.mutable_regatta()->set_concurrency(0);
    rate.mutable_regatta()->mutable_load()->set_arrival(kPoisson);
    rate.mutable_regatta()->mutable_load()->set_request_rate(20);
    const auto written = ExportTo(run, formats, folder_);
    ASSERT_TRUE(written.ok()) << written.status();
  }

  std::vector<std::string> Loads(const std::string& path, const std::string& format) {
    const auto files = ReadTextFiles({path}, format);
    EXPECT_TRUE(files.ok()) << files.status();
    if (!files.ok()) return {};
    const auto runs = ImportFiles(*files, {.format = format});
    EXPECT_TRUE(runs.ok()) << runs.status();
    if (!runs.ok()) return {};
    std::vector<std::string> loads;
    for (const PointReport& point : runs->front().sweep.points()) {
      loads.push_back(LoadName(LoadOf(point.regatta())));
    }
    return loads;
  }

  TempDir dir_;
  const std::string folder_ = dir_.File("export");
};

TEST_F(FolderImportTest, AFolderIsTheFilesInAndBelowIt) {
  Export({"aiperf"});
  EXPECT_THAT(Loads(folder_, "auto"), ElementsAre("concurrency 4", "20 req/s"));
  EXPECT_THAT(Loads(folder_ + "/aiperf-20rps", "auto"), ElementsAre("20 req/s"));
}

TEST_F(FolderImportTest, OfSeveralFormatsOneIsNamed) {
  Export({"aiperf", "vllm", "inferencex", "trtllm-bench", "csv", "markdown"});
  for (const char* format : {"aiperf", "vllm", "inferencex", "trtllm-bench", "csv", "markdown"}) {
    EXPECT_THAT(Loads(folder_, format), ElementsAre("concurrency 4", "20 req/s")) << format;
  }
  const auto files = ReadTextFiles({folder_}, "auto");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(Message(ImportFiles(*files, {})), HasSubstr("--format says which of a folder"));
}

TEST_F(FolderImportTest, AFileIsReadWhateverItsName) {
  Export({"csv"});
  EXPECT_THAT(*ReadTextFiles({folder_ + "/summary.csv"}, "vllm"), SizeIs(1));
  const auto none = ReadTextFiles({folder_}, "vllm");
  EXPECT_THAT(std::string(none.status().message()),
              HasSubstr("no file that is named as those of format vllm"));
  EXPECT_FALSE(ReadTextFiles({dir_.File("nowhere")}, "auto").ok());
}

}  // namespace
}  // namespace regatta
