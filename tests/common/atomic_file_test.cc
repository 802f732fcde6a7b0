// Whole or not at all, and the cause in words.
#include "common/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

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
  EXPECT_TRUE(CheckCanWriteFile("/dev/null").ok());
  EXPECT_THAT(std::string(WriteFileAtomically("/dev/full", "x").message()),
              HasSubstr("'/dev/full': No space left on device"));
}

TEST(AtomicFileTest, ATrialLeavesNothingAndEndsNoReader) {
  const TempDir dir;
  dir.Write("a", "old");
  EXPECT_TRUE(CheckCanWriteFile(dir.File("a")).ok());
  EXPECT_TRUE(CheckCanWriteFile(dir.File("b")).ok());
  EXPECT_EQ(ContentsOf(dir.File("a")), "old");
  EXPECT_EQ(FilesIn(dir.path()), 1u);
  ASSERT_EQ(mkfifo(dir.File("pipe").c_str(), 0600), 0);
  pollfd reader = {open(dir.File("pipe").c_str(), O_RDONLY | O_NONBLOCK), POLLIN, 0};
  EXPECT_TRUE(CheckCanWriteFile(dir.File("pipe")).ok());
  EXPECT_EQ(poll(&reader, 1, 0), 0) << "the pipe has ended";
  close(reader.fd);
}

TEST(AtomicFileTest, ADirectoryThatIsNotThereIsNamed) {
  EXPECT_THAT(std::string(CheckCanWriteFile("/none/a").message()),
              HasSubstr("cannot write '/none/a': No such file or directory"));
  EXPECT_THAT(std::string(WriteFileAtomically("/none/a", "x").message()),
              HasSubstr("'/none/a': No such file or directory"));
}

}  // namespace
}  // namespace regatta
