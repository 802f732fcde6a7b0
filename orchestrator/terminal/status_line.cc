// Refreshing and fitting; see status_line.h.
#include "orchestrator/terminal/status_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

constexpr size_t kUnknownColumns = 80;

bool IsContinuation(char byte) { return (byte & 0xC0) == 0x80; }

}  // namespace

std::string FitColumns(const std::string& text, size_t columns) {
  constexpr char kMore[] = "...";
  constexpr size_t kMoreColumns = sizeof(kMore) - 1;
  size_t used = 0, fitting = 0;  // columns, and the bytes that leave room for kMore
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsContinuation(text[i])) continue;
    if (used + kMoreColumns <= columns) fitting = i;
    ++used;
  }
  if (used <= columns) return text;
  return columns < kMoreColumns ? "" : absl::StrCat(text.substr(0, fitting), kMore);
}

size_t TerminalColumns(std::FILE* out) {
  winsize size = {};
  const bool known = ::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kUnknownColumns;
}

StatusLine::StatusLine(std::FILE* out)
    : out_(out), terminal_(out != nullptr && ::isatty(::fileno(out)) == 1) {}

void StatusLine::Show(const std::string& text) {
  if (out_ == nullptr) return;
  if (!terminal_) return Keep(text);
  absl::MutexLock lock(&mutex_);
  Clear();
  // In the last column some terminals begin the next line.
  std::fputs(FitColumns(text, TerminalColumns(out_) - 1).c_str(), out_);
  std::fflush(out_);
  open_ = true;
}

void StatusLine::Keep(const std::string& text) {
  if (out_ == nullptr) return;
  absl::MutexLock lock(&mutex_);
  Clear();
  std::fprintf(out_, "%s\n", text.c_str());
  std::fflush(out_);
}

void StatusLine::Remove() {
  if (out_ == nullptr) return;
  absl::MutexLock lock(&mutex_);
  Clear();
  std::fflush(out_);
}

void StatusLine::Clear() {
  if (open_) std::fputs("\r\x1b[K", out_);
  open_ = false;
}

}  // namespace regatta
