// Layouts, then epochs; see layout_change.h.
#include "orchestrator/benchmark/layout_change.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/layout.h"

namespace regatta {

std::string LayoutChange(const ClusterDescription& before, const ClusterDescription& after) {
  const std::string was = LayoutName(before.layout()), is = LayoutName(after.layout());
  if (was != is) return absl::StrCat(was, " -> ", is);
  std::vector<std::string> changes;
  for (const GroupDescription& group : before.groups()) {
    const auto now =
        std::find_if(after.groups().begin(), after.groups().end(),
                     [&](const GroupDescription& g) { return g.group() == group.group(); });
    if (now != after.groups().end() && now->epoch() == group.epoch()) continue;
    changes.push_back(absl::StrCat("group ", group.group(), " was ",
                                   now == after.groups().end() ? "lost" : "re-formed"));
  }
  return absl::StrJoin(changes, ", ");
}

}  // namespace regatta
