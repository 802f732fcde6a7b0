// Lines, labels and what histograms must fulfil; see prometheus_text.h.
#include "tests/testing/prometheus_text.h"

#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace regatta::testing {
namespace {

absl::Status Wrong(absl::string_view line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", line));
}

bool IsName(absl::string_view name, bool colons) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '_' && !(colons && c == ':')) return false;
  }
  return true;
}

// Takes a quoted value with its escapes from the front of `rest`.
std::optional<std::string> TakeQuoted(absl::string_view& rest) {
  if (!absl::ConsumePrefix(&rest, "\"")) return std::nullopt;
  std::string value;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (rest[i] != '\\') {
      value += rest[i];
    } else if (++i < rest.size() && absl::StrContains("\\\"n", rest[i])) {
      value += rest[i] == 'n' ? '\n' : rest[i];
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

absl::StatusOr<MetricLabels> TakeLabels(absl::string_view line, absl::string_view& rest) {
  MetricLabels labels;
  if (!absl::ConsumePrefix(&rest, "{")) return labels;
  while (!absl::ConsumePrefix(&rest, "}")) {
    if (!labels.empty() && !absl::ConsumePrefix(&rest, ",")) return Wrong(line, "no comma");
    const size_t equals = rest.find('=');
    if (equals == absl::string_view::npos) return Wrong(line, "no value of a label");
    const std::string name(rest.substr(0, equals));
    rest.remove_prefix(equals + 1);
    const std::optional<std::string> value = TakeQuoted(rest);
    if (!IsName(name, false) || !value) return Wrong(line, "not a label");
    if (!labels.emplace(name, *value).second) return Wrong(line, "a label twice");
  }
  return labels;
}

absl::StatusOr<double> Number(absl::string_view line, absl::string_view text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || std::isnan(value)) return Wrong(line, "not a number");
  return value;
}

absl::StatusOr<MetricSample> ParseSample(absl::string_view line) {
  MetricSample sample;
  absl::string_view rest = line;
  sample.name = std::string(rest.substr(0, rest.find_first_of("{ ")));
  if (!IsName(sample.name, true)) return Wrong(line, "not a name");
  rest.remove_prefix(sample.name.size());
  ASSIGN_OR_RETURN(sample.labels, TakeLabels(line, rest));
  if (!absl::ConsumePrefix(&rest, " ")) return Wrong(line, "no space before the value");
  ASSIGN_OR_RETURN(sample.value, Number(line, rest));
  return sample;
}

bool Belongs(const std::string& sample, const std::string& family, const std::string& type) {
  if (type != "histogram") return sample == family;
  return sample == family + "_bucket" || sample == family + "_sum" || sample == family + "_count";
}

// What the samples of one histogram (equal labels but for le) say.
struct HistogramView {
  std::vector<std::pair<double, double>> buckets;  // bound and count
  std::optional<double> sum, count;
};

absl::Status CheckHistogram(const HistogramView& view, absl::string_view name) {
  if (!view.sum || !view.count) return Wrong(name, "a histogram without sum or count");
  for (size_t i = 1; i < view.buckets.size(); ++i) {
    if (view.buckets[i].first <= view.buckets[i - 1].first) return Wrong(name, "bounds descend");
    if (view.buckets[i].second < view.buckets[i - 1].second) return Wrong(name, "buckets descend");
  }
  if (view.buckets.empty() || !std::isinf(view.buckets.back().first)) {
    return Wrong(name, "the last bucket is not +Inf");
  }
  if (view.buckets.back().second != *view.count) return Wrong(name, "count is not that of +Inf");
  return absl::OkStatus();
}

absl::Status CheckHistograms(const std::string& name, const ParsedFamily& family) {
  std::map<MetricLabels, HistogramView> views;
  for (const MetricSample& sample : family.samples) {
    MetricLabels labels = sample.labels;
    const auto le = labels.extract("le");
    HistogramView& view = views[labels];
    if (absl::EndsWith(sample.name, "_sum")) {
      view.sum = sample.value;
    } else if (absl::EndsWith(sample.name, "_count")) {
      view.count = sample.value;
    } else {
      if (le.empty()) return Wrong(sample.name, "a bucket without le");
      ASSIGN_OR_RETURN(const double bound, Number(sample.name, le.mapped()));
      view.buckets.emplace_back(bound, sample.value);
    }
  }
  for (const auto& [labels, view] : views) RETURN_IF_ERROR(CheckHistogram(view, name));
  return absl::OkStatus();
}

class Reader {
 public:
  absl::Status Take(const std::string& line) {
    if (absl::StartsWith(line, "# HELP ")) return TakeHelp(line);
    if (absl::StartsWith(line, "# TYPE ")) return TakeType(line);
    if (family_ == nullptr || family_->type.empty()) return Wrong(line, "a sample before its type");
    ASSIGN_OR_RETURN(MetricSample sample, ParseSample(line));
    if (!Belongs(sample.name, name_, family_->type)) return Wrong(line, "not of this family");
    if (!seen_.emplace(sample.name, sample.labels).second) return Wrong(line, "a series twice");
    if (family_->type == "counter" && sample.value < 0) return Wrong(line, "below zero");
    family_->samples.push_back(std::move(sample));
    return absl::OkStatus();
  }
  absl::StatusOr<ParsedMetrics> Finish() && {
    for (const auto& [name, family] : metrics_.families) {
      if (family.type == "histogram") RETURN_IF_ERROR(CheckHistograms(name, family));
    }
    return std::move(metrics_);
  }

 private:
  absl::Status TakeHelp(const std::string& line) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (parts.size() != 4 || parts[3].empty() || !IsName(parts[2], true)) {
      return Wrong(line, "not a help line");
    }
    name_ = parts[2];
    if (metrics_.families.count(name_) > 0) return Wrong(line, "a family twice");
    family_ = &metrics_.families[name_];
    family_->help = parts[3];
    return absl::OkStatus();
  }
  absl::Status TakeType(const std::string& line) {
    const std::vector<std::string> parts = absl::StrSplit(line, ' ');
    if (parts.size() != 4 || parts[2] != name_ || !family_->type.empty()) {
      return Wrong(line, "not the type of the family");
    }
    family_->type = parts[3];
    static const std::set<std::string> known = {"counter", "gauge", "histogram"};
    return known.count(parts[3]) > 0 ? absl::OkStatus() : Wrong(line, "unknown type");
  }

  ParsedMetrics metrics_;
  std::string name_;
  ParsedFamily* family_ = nullptr;
  std::set<std::pair<std::string, MetricLabels>> seen_;
};

}  // namespace

double ParsedMetrics::Sum(const std::string& sample, const MetricLabels& labels) const {
  double sum = 0;
  bool found = false;
  for (const auto& [name, family] : families) {
    for (const MetricSample& candidate : family.samples) {
      bool fits = candidate.name == sample;
      for (const auto& [label, value] : labels) {
        const auto it = candidate.labels.find(label);
        fits &= it != candidate.labels.end() && it->second == value;
      }
      if (!fits) continue;
      found = true;
      sum += candidate.value;
    }
  }
  return found ? sum : std::numeric_limits<double>::quiet_NaN();
}

absl::StatusOr<ParsedMetrics> ParseMetrics(const std::string& text) {
  if (text.empty() || text.back() != '\n') return Wrong("end of text", "no end of line");
  Reader reader;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(text.substr(0, text.size() - 1), '\n'))) {
    RETURN_IF_ERROR(reader.Take(line));
  }
  return std::move(reader).Finish();
}

}  // namespace regatta::testing
