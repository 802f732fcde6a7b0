// Looking a finding up in what rules returned.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// The only finding about `what`; fails the test when there is none, or several.
inline HostFinding Find(const std::vector<HostFinding>& findings, const std::string& what) {
  HostFinding found;
  int count = 0;
  for (const HostFinding& finding : findings) {
    if (finding.what() != what) continue;
    found = finding;
    ++count;
  }
  EXPECT_EQ(count, 1) << what;
  return found;
}

// Every finding that is not ok names a command, and no other does.
inline void ExpectMendsWhereNeeded(const std::vector<HostFinding>& findings) {
  for (const HostFinding& finding : findings) {
    EXPECT_EQ(finding.level() != "ok", !finding.mend().empty()) << finding.DebugString();
    EXPECT_EQ(finding.mend().find("{gpu}"), std::string::npos) << finding.DebugString();
  }
}

}  // namespace regatta
