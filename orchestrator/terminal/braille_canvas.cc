// Dots to UTF-8; see braille_canvas.h.
#include "orchestrator/terminal/braille_canvas.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace regatta {

BrailleCanvas::BrailleCanvas(int columns, int rows)
    : columns_(columns), rows_(rows), dots_(columns * rows, 0), text_(columns * rows) {}

void BrailleCanvas::Dot(int x, int y) {
  if (x < 0 || y < 0 || x >= width() || y >= height()) return;
  // Bit of each dot of a cell, by column and row (Unicode block U+2800).
  static constexpr int kBits[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};
  dots_[y / 4 * columns_ + x / 2] |= kBits[x % 2][y % 4];
}

void BrailleCanvas::Line(double x0, double y0, double x1, double y1) {
  const int steps = static_cast<int>(std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1.0}));
  for (int i = 0; i <= steps; ++i) {
    const double t = double(i) / steps;
    Dot(std::lround(x0 + (x1 - x0) * t), std::lround(y0 + (y1 - y0) * t));
  }
}

void BrailleCanvas::Mark(int x, int y, const std::string& mark) {
  if (x < 0 || y < 0 || x >= width() || y >= height()) return;
  text_[y / 4 * columns_ + x / 2] = mark;
}

void BrailleCanvas::Label(int x, int y, const std::string& label) {
  const int size = static_cast<int>(label.size());
  const int column = x / 2, row = y / 4, middle = column - size / 2;
  const std::pair<int, int> places[] = {
      {column + 1, row}, {column - size, row}, {middle, row - 1}, {middle, row + 1}};
  for (const auto& [first, at] : places) {
    if (!IsFree(first, at, size, row * columns_ + column)) continue;
    for (int i = 0; i < size; ++i) text_[at * columns_ + first + i] = label.substr(i, 1);
    return;
  }
}

bool BrailleCanvas::IsFree(int column, int row, int size, int mark) const {
  if (row < 0 || row >= rows_ || column < 0 || column + size > columns_) return false;
  const int first = row * columns_ + std::max(0, column - 1);
  const int last = row * columns_ + std::min(columns_ - 1, column + size);
  for (int cell = first; cell <= last; ++cell) {
    if (cell != mark && !text_[cell].empty()) return false;
  }
  return true;
}

std::string BrailleCanvas::Row(int row) const {
  std::string out;
  for (int column = 0; column < columns_; ++column) {
    const int cell = row * columns_ + column;
    if (!text_[cell].empty()) {
      out += text_[cell];
    } else if (dots_[cell] == 0) {
      out += ' ';
    } else {
      out += {'\xE2', static_cast<char>(0xA0 | (dots_[cell] >> 6)),
              static_cast<char>(0x80 | (dots_[cell] & 0x3F))};
    }
  }
  return out;
}

}  // namespace regatta
