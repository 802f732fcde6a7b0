// A chart as self-contained SVG text: light and dark, readable in print, every point with a
// tooltip.
#pragma once

#include <string>

#include "orchestrator/report/chart.h"

namespace regatta {

// An <svg> element.
std::string RenderSvg(const Chart& chart);

// A <text> element with a class and a text-anchor.
std::string SvgText(double x, double y, const char* css, const char* anchor,
                    const std::string& text);

// `text` with &, <, >, " and ' escaped for XML and HTML.
std::string EscapeXml(const std::string& text);

}  // namespace regatta
