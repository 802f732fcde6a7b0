// A chart as JSON, for the script that draws it (report/page/charts.js).
#pragma once

#include <string>
#include <vector>

#include "orchestrator/report/chart.h"

namespace regatta {

// Fields as in Chart; a series' color is "#0072B2" or "" for neutral, its stroke "solid", "dashed"
// or "dotted". Values have five significant digits. Text that is not UTF-8 has U+FFFD in its place.
// Free of '<', so that it can stand inside a <script> element.
std::string ChartJson(const Chart& chart);

// `text` as a JSON string, free of '<'.
std::string JsonString(const std::string& text);

// "[a,b]" of JSON texts.
std::string JsonArray(const std::vector<std::string>& values);

}  // namespace regatta
