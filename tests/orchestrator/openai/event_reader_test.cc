// Server-sent events in all their spellings, cut at every place.
#include "orchestrator/openai/event_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace regatta {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Read(const std::vector<std::string>& pieces) {
  EventReader reader;
  std::vector<std::string> data;
  for (const std::string& piece : pieces) {
    EXPECT_TRUE(reader.Feed(piece, [&](absl::string_view text) { data.emplace_back(text); }));
  }
  return data;
}

TEST(EventReaderTest, EverySpellingIsReadHoweverItIsCut) {
  const std::string stream =
      "data: one\n\n: a comment\n\ndata:two\r\n\r\nevent: x\nid: 3\ndata: three\ndata: more\n\n"
      "data\n\ndata:  led by a blank\r\rretry: 5\n\ndata: never ended";
  const auto expected = ElementsAre("one", "two", "three\nmore", "", " led by a blank");
  EXPECT_THAT(Read({stream}), expected);
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    EXPECT_THAT(Read({stream.substr(0, cut), stream.substr(cut)}), expected) << "cut at " << cut;
  }
  std::vector<std::string> bytes;
  for (const char byte : stream) bytes.push_back({byte});
  EXPECT_THAT(Read(bytes), expected);
}

TEST(EventReaderTest, AnEventWithoutEndIsRefused) {
  EventReader reader;
  const auto ignore = [](absl::string_view) {};
  const std::string half(EventReader::kMaxEventBytes / 2, 'x');
  EXPECT_TRUE(reader.Feed(half, ignore));
  EXPECT_TRUE(reader.Feed(half, ignore));
  EXPECT_FALSE(reader.Feed("x", ignore));
  EventReader lines;
  EXPECT_TRUE(lines.Feed("data: " + half + "\n", ignore));
  EXPECT_FALSE(lines.Feed("data: " + half + "\n", ignore));
}

}  // namespace
}  // namespace regatta
