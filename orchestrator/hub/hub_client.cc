// Calls and the meaning of answers; see hub_client.h.
#include "orchestrator/hub/hub_client.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/json_fields.h"
#include "common/status_macros.h"
#include "orchestrator/hub/hub_cache.h"
#include "orchestrator/hub/retry.h"

namespace regatta {
namespace {

constexpr unsigned kPartialContent = 206, kRangeNotSatisfiable = 416;

// An entity tag (RFC 9110, 8.8.3) without weakness and quotes.
std::string Unquoted(absl::string_view etag) {
  absl::ConsumePrefix(&etag, "W/");
  absl::ConsumePrefix(&etag, "\"");
  absl::ConsumeSuffix(&etag, "\"");
  return std::string(etag);
}

// The first byte that "bytes 100-199/200" holds.
absl::StatusOr<uint64_t> FirstByte(const std::string& content_range) {
  absl::string_view text = content_range;
  uint64_t first = 0;
  if (absl::ConsumePrefix(&text, "bytes ") &&
      absl::SimpleAtoi(text.substr(0, text.find('-')), &first)) {
    return first;
  }
  return absl::UnavailableError(
      absl::StrCat("the server sends a part without saying which: '", content_range, "'"));
}

std::string FirstOf(const HttpAnswer& answer, const char* name, const char* other) {
  const std::string value = answer.Header(name);
  return value.empty() ? answer.Header(other) : value;
}

}  // namespace

HttpCall HubClient::CallOf(const std::string& path) const {
  HttpCall call;
  call.url = settings_.endpoint;
  call.url.target = absl::StrCat(settings_.endpoint.target, path);
  call.bearer_token = settings_.token;
  call.stop = &stop_;
  return call;
}

std::string HubClient::FilePath(const std::string& commit, const std::string& name) const {
  return absl::StrCat("/", repository_, "/resolve/", PercentEncode(commit), "/",
                      PercentEncode(name, "/"));
}

absl::StatusOr<RepositoryListing> HubClient::List(const std::string& revision) const {
  const HttpCall call =
      CallOf(absl::StrCat("/api/models/", repository_, "/revision/", PercentEncode(revision)));
  ASSIGN_OR_RETURN(const HttpAnswer answer, PerformHttp(call));
  RETURN_IF_ERROR(Explain(answer));
  ASSIGN_OR_RETURN(const Json body, ParseObject(answer.body, call.url.target));
  RepositoryListing listing;
  absl::Status status;
  Fields fields(body, "", status);
  listing.commit = fields.StringOr("sha", "");
  RETURN_IF_ERROR(status);
  if (!IsCommit(listing.commit)) {
    return absl::InvalidArgumentError(
        absl::StrCat(call.url.ToString(), ": has no commit in 'sha'; is HF_ENDPOINT a hub?"));
  }
  if (!fields.Has("siblings") || !fields.Raw("siblings").is_array()) {
    return absl::InvalidArgumentError(absl::StrCat(call.url.ToString(), ": has no 'siblings'"));
  }
  for (const Json& sibling : fields.Raw("siblings")) {
    Fields file(sibling, "siblings.", status);
    listing.files.push_back(file.StringOr("rfilename", ""));
    RETURN_IF_ERROR(status);
  }
  return listing;
}

absl::StatusOr<RemoteFile> HubClient::Describe(const std::string& commit,
                                               const std::string& name) const {
  HttpCall call = CallOf(FilePath(commit, name));
  call.method = "HEAD";
  // What the Hub itself says of the file; storage elsewhere has other tags.
  call.redirects = Redirects::kSameOrigin;
  ASSIGN_OR_RETURN(const HttpAnswer answer, PerformHttp(call));
  if (answer.status / 100 != 3) RETURN_IF_ERROR(Explain(answer));
  RemoteFile file;
  file.name = name;
  file.etag = Unquoted(FirstOf(answer, "x-linked-etag", "etag"));
  const std::string size = FirstOf(answer, "x-linked-size", "content-length");
  if (!IsBlobName(file.etag) || !absl::SimpleAtoi(size, &file.size)) {
    return absl::InvalidArgumentError(
        absl::StrCat(call.url.ToString(), ": answered without a usable ETag and size"));
  }
  const std::string from = answer.Header("x-repo-commit");
  if (!from.empty() && from != commit) {
    return absl::InvalidArgumentError(absl::StrCat(call.url.ToString(), ": asked for commit ",
                                                   commit, ", got ", from.substr(0, 60)));
  }
  return file;
}

absl::Status HubClient::Fetch(
    const std::string& commit, const RemoteFile& file, uint64_t first,
    const std::function<absl::Status(uint64_t)>& on_start,
    const std::function<absl::Status(absl::string_view)>& on_bytes) const {
  HttpCall call = CallOf(FilePath(commit, file.name));
  if (first > 0) call.headers.emplace_back("range", absl::StrCat("bytes=", first, "-"));
  call.on_answer = [&](const HttpAnswer& answer) -> absl::Status {
    // Of another version, or the server's idea of the size has changed: from the beginning.
    if (first > 0 && answer.status == kRangeNotSatisfiable) {
      RETURN_IF_ERROR(on_start(0));
      return absl::UnavailableError(absl::StrCat(file.name, ": cannot be resumed"));
    }
    RETURN_IF_ERROR(Explain(answer));
    uint64_t begin = 0;
    if (answer.status == kPartialContent) {
      ASSIGN_OR_RETURN(begin, FirstByte(answer.Header("content-range")));
    }
    if (begin != first && begin != 0) {
      return absl::UnavailableError(
          absl::StrCat(file.name, ": asked for bytes from ", first, ", got them from ", begin));
    }
    return on_start(begin);
  };
  call.on_body = on_bytes;
  return PerformHttp(call).status();
}

absl::Status HubClient::Explain(const HttpAnswer& answer) const {
  if (answer.status / 100 == 2) return absl::OkStatus();
  const std::string said = answer.Header("x-error-message").substr(0, 300);
  const std::string what =
      absl::StrCat(repository_, ": ", answer.url.Authority(), " answers ", answer.status,
                   said.empty() ? "" : absl::StrCat(" (", said, ")"));
  const bool gated = answer.Header("x-error-code") == "GatedRepo";
  if (gated || answer.status == 403) {
    return absl::PermissionDeniedError(absl::StrCat(what, "; ", HowToBeAllowed(gated)));
  }
  if (answer.status == 401) {
    return absl::UnauthenticatedError(absl::StrCat(
        what, settings_.token.empty()
                  ? "; the model does not exist, or is private: set HF_TOKEN to a token that may "
                    "read it (or log in with huggingface-cli)"
                  : "; the token (HF_TOKEN, or huggingface-cli's) is not valid there"));
  }
  if (answer.status == 404) {
    const bool revision = answer.Header("x-error-code") == "RevisionNotFound";
    return absl::NotFoundError(
        absl::StrCat(what, revision ? "; it has no such --revision" : "; is the name right? See ",
                     revision ? "" : Page()));
  }
  if (answer.status == 429 || answer.status == 408 || answer.status >= 500) {
    return ExplainTrouble(answer, what);
  }
  return absl::FailedPreconditionError(what);
}

std::string HubClient::Page() const {
  return absl::StrCat(settings_.endpoint.scheme, "://", settings_.endpoint.Authority(), "/",
                      repository_);
}

std::string HubClient::HowToBeAllowed(bool gated) const {
  if (settings_.token.empty()) {
    return absl::StrCat(gated ? "the model is gated: accept its terms at " : "see ", Page(),
                        " and set HF_TOKEN to a token of that account");
  }
  return gated ? absl::StrCat("the model is gated: accept its terms at ", Page(),
                              " with the account of your token")
               : absl::StrCat(
                     "the token (HF_TOKEN, or huggingface-cli's) may not read it: give it "
                     "the right to read this repository, and see ",
                     Page());
}

// Of what may be over in a while.
absl::Status HubClient::ExplainTrouble(const HttpAnswer& answer, const std::string& what) const {
  const bool too_many = answer.status == 429;
  const bool anonymous = settings_.token.empty();
  absl::Status status = absl::UnavailableError(absl::StrCat(
      what, "; ",
      !too_many   ? "the trouble is the server's: try again later, or another HF_ENDPOINT"
      : anonymous ? "too many requests: try again later, or set HF_TOKEN, which is allowed more"
                  : "too many requests: try again later, or with fewer --connections"));
  int64_t seconds = 0;
  if (absl::SimpleAtoi(answer.Header("retry-after"), &seconds) && seconds >= 0) {
    SetAskedWait(status, absl::Seconds(seconds));
  }
  return status;
}

}  // namespace regatta
