// An inspection in the making: keeps facts and findings under their limits, so that what is found can always be sent.
#pragma once

#include <array>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/package/inspection.hpp"

namespace package {

class InspectionBuilder {
 public:
  // Text over limits::kFactTextBytes is cut at a character and marked "...".
  void fact(std::string_view file, std::string_view name, std::string_view value);
  // Of more than fit the worst are kept, and in any case the first of each id: nothing that a package brings in great number hides what is
  // found in it once.
  void finding(std::string_view id, Severity severity, std::string_view file, std::uint32_t line, std::string cause, std::string remedy);
  std::vector<PlannedCatalog>& catalogs() { return inspection_.catalogs; }
  std::vector<PeFile>& pe_files() { return inspection_.pe_files; }
  bool has_errors() const { return inspection_.has_errors(); }
  // What was left out is itself a finding, as severe as the worst of it.
  Inspection finish() &&;

 private:
  bool make_room_for(Severity severity, bool is_first);
  Inspection inspection_;
  std::set<std::string, std::less<>> seen_;   // ids of findings
  std::vector<bool> is_repeat_;               // of each finding that is kept, whether its id was seen before
  std::array<std::size_t, 3> repeats_{};      // how many these are, by severity
  std::size_t facts_left_out_ = 0;
  std::size_t findings_left_out_ = 0;
  Severity worst_left_out_ = Severity::note;
};

}  // namespace package
