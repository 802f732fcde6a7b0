// Flags and files of strangers; see run_request.h.
#include "orchestrator/service/run_request.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/durable_file.h"
#include "orchestrator/commands/given_flags.h"
#include "orchestrator/commands/submittable.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxFlags = 200;
constexpr size_t kMaxFlagBytes = 4096;
constexpr size_t kMaxLabelBytes = 200;
constexpr const char* kFileFlags[] = {"--dataset", "--config"};

absl::Status BadRequest(absl::string_view what, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", problem));
}

bool IsFileFlag(absl::string_view name) {
  return std::find(std::begin(kFileFlags), std::end(kFileFlags), name) != std::end(kFileFlags);
}

absl::string_view ValueOf(absl::string_view flag) {
  const size_t equals = flag.find('=');
  return equals == absl::string_view::npos ? "" : flag.substr(equals + 1);
}

absl::Status CheckSizes(const StartRunRequest& request) {
  if (request.flags_size() > kMaxFlags) {
    return BadRequest("flags", absl::StrCat(request.flags_size(), " are more than ", kMaxFlags));
  }
  if (request.label().size() > kMaxLabelBytes) {
    return BadRequest("label",
                      absl::StrCat(request.label().size(), " bytes, at most ", kMaxLabelBytes));
  }
  const auto printable = [](unsigned char c) { return c >= 0x20 && c != 0x7f; };
  if (!std::all_of(request.label().begin(), request.label().end(), printable)) {
    return BadRequest("label", "has control characters");
  }
  size_t bytes = 0;
  for (const InputFile& file : request.files()) bytes += file.content().size();
  if (bytes > kMaxInputBytes) {
    return BadRequest("files", absl::StrCat(bytes, " bytes, at most ", kMaxInputBytes));
  }
  return absl::OkStatus();
}

// Flags that only a person at the service's host may give, by name and by group of the help text.
absl::Status CheckAllowed(const CLI::App& command, const std::string& kind,
                          const std::string& flag) {
  if (!absl::StartsWith(flag, "--") || !absl::StrContains(flag, '=') ||
      flag.size() > kMaxFlagBytes || absl::StrContains(flag, '\0')) {
    return BadRequest(flag.substr(0, 80),
                      absl::StrCat("is not --name=value of at most ", kMaxFlagBytes, " bytes"));
  }
  const std::string name = NameOfFlag(flag);
  const CLI::Option* const option = command.get_option_no_throw(name);
  if (option == nullptr) {
    return BadRequest(name, absl::StrCat("is no flag of `regatta ", kind, "`"));
  }
  const std::string first =
      absl::StrCat("--", option->get_lnames().empty() ? "" : option->get_lnames()[0]);
  if (first != name) return BadRequest(name, absl::StrCat("give it as ", first));
  if (name == "--help" || BelongsToHost(*option)) {
    return BadRequest(name, "belongs to the service's host, which decides it itself");
  }
  return absl::OkStatus();
}

// Whoever else uses a running router would notice.
absl::Status CheckChanges(const std::string& kind, const std::vector<std::string>& flags) {
  const auto names = [&](const char* name) {
    return std::any_of(flags.begin(), flags.end(),
                       [&](const std::string& flag) { return NameOfFlag(flag) == name; });
  };
  const bool re_forms = kind == "partition" && names("--url");
  if (!re_forms && !names("--apply")) return absl::OkStatus();
  return BadRequest(re_forms ? "--url" : "--apply",
                    re_forms ? "re-forms the pool of a running router, which needs a service "
                               "started with --allow-changes"
                             : "changes the limits of a running router, which needs a service "
                               "started with --allow-changes");
}

absl::Status CheckFiles(const StartRunRequest& request) {
  for (const InputFile& file : request.files()) {
    if (!IsFileFlag(file.flag())) {
      return BadRequest(file.flag().substr(0, 80), "names no file that can be sent");
    }
    const auto names_it = [&](const std::string& flag) { return NameOfFlag(flag) == file.flag(); };
    if (std::count_if(request.flags().begin(), request.flags().end(), names_it) != 1) {
      return BadRequest(file.flag(), "its file was sent, so the flag must be given, once");
    }
    const auto same = [&](const InputFile& other) { return other.flag() == file.flag(); };
    if (std::count_if(request.files().begin(), request.files().end(), same) != 1) {
      return BadRequest(file.flag(), "two files were sent");
    }
  }
  return absl::OkStatus();
}

// A relative path that stays in the directory it is relative to.
absl::StatusOr<std::string> PathInData(const std::string& flag, const std::string& data_dir) {
  const fs::path path{std::string(ValueOf(flag))};
  if (data_dir.empty())
    return BadRequest(flag, "the file was not sent, and the service has no --data");
  const bool leaves =
      std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
  if (path.empty() || path.is_absolute() || leaves) {
    return BadRequest(flag, "must be a path inside of the service's --data directory");
  }
  const std::string full = (fs::path(data_dir) / path).string();
  std::error_code error;
  if (!fs::is_regular_file(full, error))
    return BadRequest(flag, "is no file in the service's --data");
  return full;
}

std::string StoredPath(const std::string& input_dir, absl::string_view flag) {
  return absl::StrCat(input_dir, "/", absl::StripPrefix(flag, "--"));
}

}  // namespace

absl::Span<const char* const> FileFlags() { return kFileFlags; }

bool BelongsToHost(const CLI::Option& option) {
  const std::string name = option.get_name(), group = option.get_group();
  return (group == "Output" && name != "--markdown") || group == "TLS" || name == "--bin-dir" ||
         name == "--resume";
}

std::string CommandOf(const StartRunRequest& request) {
  return request.command().empty() ? SubmittableNames().front() : request.command();
}

absl::StatusOr<std::string> CheckRequest(const StartRunRequest& request, bool allow_changes) {
  RETURN_IF_ERROR(CheckSizes(request));
  const std::string kind = CommandOf(request);
  const std::unique_ptr<Submittable> what = MakeSubmittable(kind);
  if (what == nullptr) {
    return BadRequest("command", absl::StrCat("'", kind.substr(0, 40), "' is none of ",
                                              absl::StrJoin(SubmittableNames(), ", ")));
  }
  CLI::App command;
  what->AddFlags(command);
  const std::vector<std::string> flags(request.flags().begin(), request.flags().end());
  for (const std::string& flag : flags) RETURN_IF_ERROR(CheckAllowed(command, kind, flag));
  RETURN_IF_ERROR(CheckFiles(request));
  RETURN_IF_ERROR(ParseGivenFlags(flags, command));
  RETURN_IF_ERROR(what->Check(command));
  if (!allow_changes) RETURN_IF_ERROR(CheckChanges(kind, flags));
  const std::string& url = what->benchmark().url;
  return url.empty() ? kLocalTarget : std::string(absl::StripSuffix(url, "/"));
}

absl::Status StoreFiles(const StartRunRequest& request, const std::string& input_dir) {
  std::error_code error;
  fs::create_directories(input_dir, error);
  if (error) return absl::UnavailableError(absl::StrCat(input_dir, ": ", error.message()));
  for (const InputFile& file : request.files()) {
    RETURN_IF_ERROR(ReplaceDurably(StoredPath(input_dir, file.flag()), file.content()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FlagsWithPaths(absl::Span<const std::string> flags,
                                                        const std::string& input_dir,
                                                        const std::string& data_dir) {
  std::vector<std::string> result;
  for (const std::string& flag : flags) {
    const std::string name = NameOfFlag(flag);
    if (!IsFileFlag(name)) {
      result.push_back(flag);
      continue;
    }
    std::error_code error;
    std::string path = StoredPath(input_dir, name);
    if (!fs::exists(path, error)) {
      ASSIGN_OR_RETURN(path, PathInData(flag, data_dir));
    }
    result.push_back(absl::StrCat(name, "=", path));
  }
  return result;
}

}  // namespace regatta
