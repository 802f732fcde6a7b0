// SQLite with our errors: a database, and statements that clean up after themselves.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

// One prepared statement. Parameters count from 1, columns from 0, as SQLite's do.
class Statement {
 public:
  void Bind(int parameter, absl::string_view text);
  void Bind(int parameter, int64_t value);
  void Bind(int parameter, double value);
  // True with a row to read, false at the end.
  absl::StatusOr<bool> Step();
  std::string Text(int column) const;
  int64_t Integer(int column) const;
  double Real(int column) const;

 private:
  friend class Database;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement, &sqlite3_finalize) {}
  std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement_;
};

// Not thread-safe.
class Database {
 public:
  // Opens or makes the file, with a write-ahead log; what is committed survives a crash of the
  // host. UNAVAILABLE names the path and SQLite's reason.
  static absl::StatusOr<Database> Open(const std::string& path);

  absl::StatusOr<Statement> Prepare(const char* sql);
  // All statements of `sql`, whose rows are dropped.
  absl::Status Execute(const char* sql);

 private:
  explicit Database(sqlite3* database) : database_(database, &sqlite3_close) {}
  std::unique_ptr<sqlite3, decltype(&sqlite3_close)> database_;
};

}  // namespace regatta
