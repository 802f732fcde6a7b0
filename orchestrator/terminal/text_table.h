// Tables of text for a terminal.
#pragma once

#include <string>
#include <vector>

namespace regatta {

using TextRow = std::vector<std::string>;

// One line per row: columns as wide as their widest cell, two spaces apart, the last one ragged.
// All rows have as many cells as the first.
std::string TableText(const std::vector<TextRow>& rows);

}  // namespace regatta
