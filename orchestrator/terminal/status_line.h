// A line that tells how far something is: on a terminal the last line, shown again and again;
// elsewhere one line after another.
#pragma once

#include <cstdio>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace regatta {

// As much of `text` as fits into `columns`, its end given up for "..."; UTF-8 stays whole.
std::string FitColumns(const std::string& text, size_t columns);

// Of the terminal behind `out` as it is now, since people resize it; 80 where that is not known.
size_t TerminalColumns(std::FILE* out);

// Thread-safe.
class StatusLine {
 public:
  // Writes to `out`, which must outlive it; null = nothing is shown.
  explicit StatusLine(std::FILE* out);
  // Removes a terminal's line, so that what follows begins on a clean one.
  ~StatusLine() { Remove(); }

  bool on_terminal() const { return terminal_; }

  // On a terminal in place of what was shown, cut to its width; elsewhere a line of its own.
  void Show(const std::string& text);
  // Like Show, but stays: what is shown next comes below.
  void Keep(const std::string& text);
  void Remove();

 private:
  void Clear() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::FILE* const out_;
  const bool terminal_;
  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace regatta
