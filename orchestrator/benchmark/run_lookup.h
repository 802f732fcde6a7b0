// Where runs are when there is none at the path that somebody typed.
#pragma once

#include <string>

namespace regatta {

// What to put behind "cannot read '<path>/results.json'": the run beside `path`, or below results/,
// whose name is nearest, else the newest one, and how to list all; or where runs come from when
// there is none.
std::string RunHint(const std::string& path);

}  // namespace regatta
