// A name service that answers, refuses, and never answers.
#include "common/address_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "tests/testing/silent_resolver.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

TEST(AddressLookup, NumbersAndBracketsAreUnderstood) {
  for (const char* host : {"127.0.0.1", "::1", "[::1]", ""}) {
    const auto found = LookUpAddress("--http", host, 8000, absl::Seconds(60));
    ASSERT_TRUE(found.ok()) << host << ": " << found.status();
    if ((*found)->ai_family != AF_INET) continue;
    const auto* address = reinterpret_cast<const sockaddr_in*>((*found)->ai_addr);
    EXPECT_EQ(ntohs(address->sin_port), 8000);
  }
}

TEST(AddressLookup, AnUnknownHostIsNamed) {
  const auto status = LookUpAddress("--host", "a.invalid", 8000, absl::Seconds(60)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("--host: 'a.invalid' is unknown"));
}

TEST(AddressLookup, SilenceHasADeadline) {
  const auto status =
      LookUpAddress("--host", "slow.example", 8000, absl::Milliseconds(20), &ResolveOnceReleased)
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("within 20ms which address 'slow.example' is"));
  Released().Notify();  // The thread ends whenever it likes.
}

}  // namespace
}  // namespace regatta
