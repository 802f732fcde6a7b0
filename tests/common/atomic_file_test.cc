// Whole or not at all, and the cause in words.
#include "common/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/testing/file_size_limit.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string ContentsOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

size_t FilesIn(const std::string& dir) {
  return std::distance(fs::directory_iterator(dir), fs::directory_iterator());
}

TEST(AtomicFileTest, ReplacesWhatWasThereAndLeavesNothingBeside) {
  const TempDir dir;
  dir.Write("a", "old and longer");
  ASSERT_TRUE(WriteFileAtomically(dir.File("a"), "new").ok());
  EXPECT_EQ(ContentsOf(dir.File("a")), "new");
  EXPECT_EQ(FilesIn(dir.path()), 1u);
}

TEST(AtomicFileTest, WhatDoesNotFitLeavesTheOldFile) {
  const TempDir dir;
  dir.Write("a", "old");
  absl::Status status;
  {
    const FileSizeLimit limit(100);
    status = WriteFileAtomically(dir.File("a"), std::string(100'000, 'x'));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/a': File too large"));
  EXPECT_EQ(ContentsOf(dir.File("a")), "old");
  EXPECT_EQ(FilesIn(dir.path()), 1u);
}

TEST(AtomicFileTest, LinksStayAndDevicesAreWritten) {
  const TempDir dir;
  dir.Write("a", "old");
  fs::create_symlink(dir.File("a"), dir.File("link"));
  ASSERT_TRUE(WriteFileAtomically(dir.File("link"), "new").ok());
  EXPECT_TRUE(fs::is_symlink(dir.File("link")));
  EXPECT_EQ(ContentsOf(dir.File("a")), "new");
  EXPECT_TRUE(WriteFileAtomically("/dev/null", "gone").ok());
  EXPECT_THAT(std::string(WriteFileAtomically("/dev/full", "x").message()),
              HasSubstr("'/dev/full': No space left on device"));
}

TEST(AtomicFileTest, ADirectoryThatIsNotThereIsNamed) {
  EXPECT_THAT(std::string(WriteFileAtomically("/none/a", "x").message()),
              HasSubstr("'/none/a': No such file or directory"));
}

}  // namespace
}  // namespace regatta
