// The parser on its own: every split of a request, and bytes that no client would send.
#include "router/http/request_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace regatta {
namespace {

using Step = RequestParser::Step;
using testing::ElementsAre;
using testing::Pair;

// What a parser makes of `bytes` that come in pieces of `piece` bytes; what it left is in `rest`.
Step FeedPieces(RequestParser& parser, const std::string& bytes, size_t piece, std::string& rest) {
  std::string input;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    input += bytes.substr(at, piece);
    Step step = Step::kHeader;
    std::string_view view = input;
    while (step == Step::kHeader) step = parser.Feed(view);
    input.erase(0, input.size() - view.size());
    if (step != Step::kNeedMore) {
      rest = input + bytes.substr(std::min(bytes.size(), at + piece));
      return step;
    }
  }
  rest = input;
  return Step::kNeedMore;
}

const char kChunked[] =
    "POST /v1/x?y=1 HTTP/1.1\r\nHost: a\r\nX-One:  two words \r\nEmpty:\r\n"
    "Transfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n00A\r\n0123456789\r\n0\r\nT: 1\r\n\r\n";

TEST(RequestParserTest, AnySplitGivesTheSameRequest) {
  const HttpLimits limits;
  const std::string bytes = std::string(kChunked) + "GET / HTTP/1.1";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    RequestParser parser(limits);
    std::string rest;
    ASSERT_EQ(FeedPieces(parser, bytes, piece, rest), Step::kDone) << piece;
    EXPECT_EQ(rest, "GET / HTTP/1.1");
    EXPECT_EQ(parser.request().method, "POST");
    EXPECT_EQ(parser.target(), "/v1/x?y=1");
    EXPECT_EQ(parser.request().body, "abc0123456789");
    EXPECT_THAT(parser.request().headers,
                ElementsAre(Pair("host", "a"), Pair("x-one", "two words"), Pair("empty", ""),
                            Pair("transfer-encoding", "Chunked")));
    EXPECT_TRUE(parser.keep_alive());
    EXPECT_FALSE(parser.http10());
  }
}

TEST(RequestParserTest, FoldedFieldsAreRefusedInAnySplit) {
  for (const std::string field :
       {"Transfer-Encoding:\r\n chunked", "X: a\r\n\tb", "Content-Length: 5,\r\n 5"}) {
    const std::string bytes = "POST / HTTP/1.1\r\nHost: a\r\n" + field + "\r\n\r\n0\r\n\r\n";
    for (size_t piece = 1; piece <= bytes.size(); ++piece) {
      RequestParser parser(HttpLimits{});
      std::string rest;
      ASSERT_EQ(FeedPieces(parser, bytes, piece, rest), Step::kError) << field << ", " << piece;
      EXPECT_EQ(parser.error_status(), 400u);
    }
  }
}

TEST(RequestParserTest, FramingOfChunksIsLimitedInAnySplit) {
  HttpLimits limits;
  limits.max_header_bytes = 100;
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto last_step = [&](const std::string& body, size_t piece) {
    RequestParser parser(limits);
    std::string rest;
    const Step step = FeedPieces(parser, head + body, piece, rest);
    EXPECT_EQ(parser.error_status(), step == Step::kError ? 431 : 0);
    return step;
  };
  for (const size_t piece : {1, 7, 1000}) {
    for (const size_t over : {0, 1}) {
      const Step expected = over > 0 ? Step::kError : Step::kDone;
      const std::string extension = "1;" + std::string(96 + over, 'e') + "\r\nx\r\n0\r\n\r\n";
      EXPECT_EQ(last_step(extension, piece), expected) << piece << " " << over;
      const std::string zeros = std::string(97 + over, '0') + "1\r\nx\r\n0\r\n\r\n";
      EXPECT_EQ(last_step(zeros, piece), expected) << piece << " " << over;
      const std::string trailers = "0\r\na: " + std::string(90 + over, 'b') + "\r\n\r\n";
      EXPECT_EQ(last_step(trailers, piece), expected) << piece << " " << over;
    }
  }
}

TEST(RequestParserTest, SlowHeadersDoNotCostTheirSquare) {
  HttpLimits limits;
  limits.max_header_bytes = 4 << 20;
  RequestParser parser(limits);
  std::string rest;
  const std::string bytes =
      "GET / HTTP/1.1\r\nhost: a\r\nx: " + std::string(1 << 20, 'x') + "\r\n\r\n";
  std::string_view all = bytes;
  size_t given = 0;
  Step step = Step::kNeedMore;
  size_t begin = 0;
  while (step == Step::kNeedMore && given < bytes.size()) {
    given += 64;
    std::string_view view = all.substr(begin, std::min(given, bytes.size()) - begin);
    const size_t before = view.size();
    step = parser.Feed(view);
    begin += before - view.size();
  }
  EXPECT_EQ(step, Step::kHeader);
}

// Mutations of a request: whatever comes, the parser ends, and what it calls a request is one.
TEST(RequestParserTest, MutatedRequests) {
  HttpLimits limits;
  limits.max_body_bytes = 1000;
  limits.max_header_bytes = 2000;
  std::mt19937 random(7);
  const auto below = [&random](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  const std::string pieces[] = {"\r\n",
                                "\r",
                                "\n",
                                std::string(1, '\0'),
                                ":",
                                " ",
                                "0",
                                "-1",
                                "\xff",
                                "content-length: 5\r\n",
                                "transfer-encoding: chunked\r\n",
                                ";",
                                ","};
  size_t done = 0, errors = 0;
  for (int round = 0; round < 30000; ++round) {
    std::string bytes = below(2) == 0
                            ? std::string(kChunked)
                            : "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    for (size_t i = 0, n = below(4); i < n; ++i) {
      const size_t at = below(bytes.size());
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(below(256));
          break;
        case 1:
          bytes.erase(at, 1 + below(4));
          break;
        case 2:
          bytes.insert(at, pieces[below(std::size(pieces))]);
          break;
        case 3:
          bytes.insert(at, bytes.substr(at, 1 + below(20)));
          break;
      }
      if (bytes.empty()) bytes = "x";
    }
    std::string whole_rest, pieces_rest;
    RequestParser whole(limits), split(limits);
    const Step step = FeedPieces(whole, bytes, bytes.size(), whole_rest);
    const Step again = FeedPieces(split, bytes, 1 + below(7), pieces_rest);
    // In pieces, an error may be seen only when the header is complete.
    ASSERT_EQ(step == Step::kDone, again == Step::kDone) << testing::PrintToString(bytes);
    if (step == Step::kError) {
      ASSERT_GE(whole.error_status(), 400u);
      ASSERT_FALSE(whole.error_message().empty());
      ++errors;
    }
    if (step != Step::kDone) continue;
    ++done;
    ASSERT_EQ(whole_rest, pieces_rest) << testing::PrintToString(bytes);
    ASSERT_EQ(whole.request().body, split.request().body);
    ASSERT_EQ(whole.request().headers, split.request().headers);
    ASSERT_LE(whole.request().body.size(), limits.max_body_bytes);
    for (const auto& [name, value] : whole.request().headers) {
      ASSERT_EQ((name + value).find_first_of(std::string("\r\n\0", 3)), std::string::npos);
    }
  }
  EXPECT_GT(done, 1000u);
  EXPECT_GT(errors, 1000u);
}

}  // namespace
}  // namespace regatta
