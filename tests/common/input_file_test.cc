// Files that people name.
#include "common/input_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

TEST(HasFileTest, OnlyOfAFolderThatIsNamed) {
  TempDir dir;
  dir.Write("config.json", "{}");
  EXPECT_TRUE(HasFile(dir.path(), "config.json"));
  EXPECT_FALSE(HasFile(dir.path(), "tokenizer.json"));
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  EXPECT_FALSE(HasFile("", "config.json")) << "no folder is not the working directory";
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace regatta
