// RETURN_IF_ERROR and ASSIGN_OR_RETURN, with the names and meaning of newer Abseil releases (delete
// on upgrade).
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define REGATTA_CONCAT_INNER(a, b) a##b
#define REGATTA_CONCAT(a, b) REGATTA_CONCAT_INNER(a, b)

// Evaluates a Status expression and returns it from the enclosing function unless it is OK.
#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (absl::Status regatta_status = (expression); !regatta_status.ok()) { \
      return regatta_status;                                                \
    }                                                                       \
  } while (false)

// Evaluates a StatusOr expression; assigns its value to `lhs` (which may be a declaration) or
// returns its status.
#define ASSIGN_OR_RETURN(lhs, expression) \
  REGATTA_ASSIGN_OR_RETURN(REGATTA_CONCAT(regatta_statusor_, __LINE__), lhs, expression)
#define REGATTA_ASSIGN_OR_RETURN(statusor, lhs, expression) \
  auto statusor = (expression);                             \
  if (!statusor.ok()) return std::move(statusor).status();  \
  lhs = *std::move(statusor)
