// Drawing with characters: dots finer than a terminal's cells.
#pragma once

#include <string>
#include <vector>

namespace regatta {

// A canvas of 2x4 dots per character cell (Unicode braille patterns), with a text layer above. What
// lies outside is not drawn.
class BrailleCanvas {
 public:
  // In cells.
  BrailleCanvas(int columns, int rows);

  // In dots.
  int width() const { return columns_ * 2; }
  int height() const { return rows_ * 4; }

  void Dot(int x, int y);
  void Line(double x0, double y0, double x1, double y1);
  // Puts `mark` (one column wide) over the dots at dot coordinates.
  void Mark(int x, int y, const std::string& mark);
  // Puts ASCII text beside the mark at dot coordinates: to the right of it, else to the left, above
  // or below. Left out where it would cover or touch other text, or leave the canvas.
  void Label(int x, int y, const std::string& label);

  // UTF-8 of `columns` columns.
  std::string Row(int row) const;

 private:
  // Whether `size` cells are there, without text in them or right beside them but in `mark`.
  bool IsFree(int column, int row, int size, int mark) const;

  const int columns_, rows_;
  std::vector<int> dots_;
  std::vector<std::string> text_;
};

}  // namespace regatta
