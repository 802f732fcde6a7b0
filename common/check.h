// CHECK for broken invariants (our bugs, never bad input): prints the condition, the place and a
// message, then aborts. Includes standard headers only, so kernels/ can use it alone. This Abseil
// release has no absl/log.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace regatta::internal {

// Collects the streamed message of a failed check and aborts in its destructor.
class CheckFailure {
 public:
  CheckFailure(const char* condition, const char* file, int line) {
    message_ << file << ":" << line << ": CHECK failed: " << condition << " ";
  }
  [[noreturn]] ~CheckFailure() {
    std::fprintf(stderr, "%s\n", message_.str().c_str());
    std::fflush(stderr);
    std::abort();
  }
  std::ostream& stream() { return message_; }

 private:
  std::ostringstream message_;
};

// Lets the conditional expression of CHECK have type void on both sides.
struct Voidify {
  void operator&(std::ostream&) const {}
};

}  // namespace regatta::internal

#define REGATTA_CHECK(condition)                 \
  (condition) ? (void)0                          \
              : ::regatta::internal::Voidify() & \
                    ::regatta::internal::CheckFailure(#condition, __FILE__, __LINE__).stream()
#define REGATTA_CHECK_OP(a, op, b) REGATTA_CHECK((a)op(b)) << "(" << (a) << " vs " << (b) << ") "

#define CHECK(condition) REGATTA_CHECK(condition)
#define CHECK_EQ(a, b) REGATTA_CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) REGATTA_CHECK_OP(a, !=, b)
#define CHECK_LE(a, b) REGATTA_CHECK_OP(a, <=, b)
#define CHECK_LT(a, b) REGATTA_CHECK_OP(a, <, b)
#define CHECK_GE(a, b) REGATTA_CHECK_OP(a, >=, b)
#define CHECK_GT(a, b) REGATTA_CHECK_OP(a, >, b)
