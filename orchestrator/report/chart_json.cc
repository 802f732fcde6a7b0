// See chart_json.h. Written piece by piece: a report has tens of thousands of points.
#include "orchestrator/report/chart_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace regatta {
namespace {

const char* NameOf(Stroke stroke) {
  switch (stroke) {
    case Stroke::kDashed:
      return "dashed";
    case Stroke::kDotted:
      return "dotted";
    case Stroke::kSolid:
      break;
  }
  return "solid";
}

const char* NameOf(Mark mark) {
  switch (mark) {
    case Mark::kTriangle:
      return "triangle";
    case Mark::kSquare:
      return "square";
    case Mark::kDiamond:
      return "diamond";
    case Mark::kCircle:
      break;
  }
  return "circle";
}

std::string PointJson(const ChartPoint& point) {
  std::string json = absl::StrFormat("{\"x\":%.5g,\"y\":%.5g", point.x, point.y);
  if (!point.label.empty()) absl::StrAppend(&json, ",\"label\":", JsonString(point.label));
  if (!point.tooltip.empty()) absl::StrAppend(&json, ",\"tooltip\":", JsonString(point.tooltip));
  return absl::StrCat(json, point.hollow ? ",\"hollow\":true}" : "}");
}

std::string SeriesJson(const ChartSeries& series) {
  std::vector<std::string> points;
  for (const ChartPoint& point : series.points) {
    // JSON knows no other numbers.
    if (std::isfinite(point.x) && std::isfinite(point.y)) points.push_back(PointJson(point));
  }
  const bool neutral = series.color == kNeutralColor;
  return absl::StrFormat(
      "{\"name\":%s,\"color\":\"%s\",\"stroke\":\"%s\",\"mark\":\"%s\",\"in_legend\":%s,\"line\":%"
      "s,"
      "\"marks\":%s,\"points\":%s}",
      JsonString(series.name), neutral ? "" : ColorOf(series.color), NameOf(series.stroke),
      NameOf(neutral ? Mark::kCircle : MarkAt(series.color)), series.in_legend ? "true" : "false",
      series.line ? "true" : "false", series.marks ? "true" : "false", JsonArray(points));
}

}  // namespace

std::string JsonString(const std::string& text) {
  const std::string json =
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return absl::StrReplaceAll(json, {{"<", "\\u003c"}});
}

std::string JsonArray(const std::vector<std::string>& values) {
  return absl::StrCat("[", absl::StrJoin(values, ","), "]");
}

std::string ChartJson(const Chart& chart) {
  std::vector<std::string> series;
  for (const ChartSeries& one : chart.series) series.push_back(SeriesJson(one));
  return absl::StrFormat(
      "{\"title\":%s,\"subtitle\":%s,\"note\":%s,\"x_label\":%s,\"y_label\":%s,\"log_x\":%s,"
      "\"x_max\":%.5g,\"y_max\":%.5g,\"height\":%d,\"series\":%s}",
      JsonString(chart.title), JsonString(chart.subtitle), JsonString(chart.note),
      JsonString(chart.x_label), JsonString(chart.y_label), chart.log_x ? "true" : "false",
      chart.x_max, chart.y_max, chart.height, JsonArray(series));
}

}  // namespace regatta
