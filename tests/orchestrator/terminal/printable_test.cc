// Neither control characters nor ill-formed UTF-8 of others get through, at any depth of a message.
#include "orchestrator/terminal/printable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/results.pb.h"

namespace regatta {
namespace {

TEST(PrintableTest, ControlCharactersAreReplacedAndTextIsKept) {
  EXPECT_EQ(Printable("plain\ttext\n"), "plain\ttext\n");
  EXPECT_EQ(Printable("ünï 漢字 😀"), "ünï 漢字 😀");
  EXPECT_EQ(Printable("a\x1b[31mred"), "a\xef\xbf\xbd[31mred");
  EXPECT_EQ(Printable("\r\x7f"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "\xef\xbf\xbd"
            "2J");
  EXPECT_EQ(Printable("\xc2\xa0"), "\xc2\xa0");  // a space that does not break
  EXPECT_EQ(Printable(""), "");
}

TEST(PrintableTest, ALineStaysOne) {
  EXPECT_EQ(PrintableLine("a\tb\nc"), "a b c");
  EXPECT_EQ(PrintableLine("a\x1b[2J"), "a\xef\xbf\xbd[2J");
}

TEST(PrintableTest, WhatIsNoUtf8IsReplacedSequenceBySequence) {
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(Printable("a\xff\xfe: \x80z"), "a" + bad + bad + ": " + bad + "z");
  EXPECT_EQ(Printable("\xe2\x82"), bad);                  // cut short
  EXPECT_EQ(Printable("\xed\xa0\x80"), bad + bad + bad);  // a surrogate
  EXPECT_EQ(Printable("\xc0\x9b"), bad + bad);            // an overlong escape
  SweepReport sweep;
  sweep.set_command("x\xff");
  MakePrintable(sweep);
  EXPECT_TRUE(SweepReport().ParseFromString(sweep.SerializeAsString()));
}

TEST(PrintableTest, AllStringsOfAMessageAreCleaned) {
  SweepReport sweep;
  sweep.set_command("x\x1b");
  PointReport& point = *sweep.add_points();
  point.mutable_engine()->set_model("m\x1b");
  point.mutable_regatta()->add_warnings("w");
  point.mutable_regatta()->add_warnings("w\x07");
  point.mutable_regatta()->set_concurrency(3);
  MakePrintable(sweep);
  EXPECT_EQ(sweep.command(), "x\xef\xbf\xbd");
  EXPECT_EQ(sweep.points(0).engine().model(), "m\xef\xbf\xbd");
  EXPECT_EQ(sweep.points(0).regatta().warnings(0), "w");
  EXPECT_EQ(sweep.points(0).regatta().warnings(1), "w\xef\xbf\xbd");
  EXPECT_EQ(sweep.points(0).regatta().concurrency(), 3u);
}

}  // namespace
}  // namespace regatta
