// Serving of the page's files; see page_routes.h.
#include "router/page/page_routes.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/string_views.h"
#include "router/page/page_files.h"

namespace regatta {
namespace {

constexpr std::string_view kIndex = "index.html";
// Only what this server sends runs, and text can never become markup (trusted types).
constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

std::string ContentType(absl::string_view name) {
  if (absl::EndsWith(name, ".html")) return "text/html; charset=utf-8";
  if (absl::EndsWith(name, ".css")) return "text/css; charset=utf-8";
  if (absl::EndsWith(name, ".js")) return "text/javascript; charset=utf-8";
  CHECK(absl::EndsWith(name, ".svg")) << name;
  return "image/svg+xml";
}

HttpHandler Serving(const EmbeddedFile& file) {
  const std::string tag = absl::StrCat("\"", View(file.sha256.substr(0, 16)), "\"");
  const HttpHeaders kept = {{"etag", tag}, {"cache-control", "no-cache"}};
  HttpHeaders whole = kept;
  whole.insert(whole.end(), {{"content-type", ContentType(View(file.name))},
                             {"content-security-policy", kPolicy},
                             {"cross-origin-opener-policy", "same-origin"},
                             {"referrer-policy", "no-referrer"},
                             {"x-content-type-options", "nosniff"}});
  return [text = file.text, tag, kept, whole = std::move(whole)](std::shared_ptr<Exchange> asked) {
    if (absl::StrContains(View(asked->request().Header("if-none-match")), tag)) {
      return asked->Reply(304, kept, "");
    }
    asked->Reply(200, whole, std::string(text));
  };
}

}  // namespace

void AddPageRoutes(HttpServer& server) {
  for (const EmbeddedFile& file : PageFiles()) {
    const std::string path = file.name == kIndex ? "/" : absl::StrCat("/page/", View(file.name));
    server.Route("GET", path, Serving(file), Access::kOpen);
  }
}

}  // namespace regatta
