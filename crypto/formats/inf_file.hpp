// An INF file: sections, lines, keys, fields, string substitution. It knows the syntax and nothing of what a driver INF
// means (crypto/package/driver_inf.hpp). As lenient as SetupAPI: an unclosed quote ends with its line, an unknown %name%
// stays as it is, sections of one name are one section. Source: Microsoft Learn, "General Syntax Rules for INF Files",
// "INF Strings Section".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace formats {

using base::Bytes;
using base::ByteView;
using base::Result;

struct InfLine {
  std::uint32_t number = 0;          // of its first line in the file, from 1
  std::optional<std::string> key;    // before '='; none when there is no '='
  std::vector<std::string> fields;   // between commas, unquoted, trimmed, %names% not yet replaced; UTF-8
  // The field, or "" when the line has fewer.
  std::string_view field(std::size_t index) const;
};

struct InfSection {
  std::string name;            // as first written
  std::uint32_t number = 0;    // line of its first heading
  std::vector<InfLine> lines;  // of every section of that name, in file order
};

enum class InfEncoding : std::uint8_t { utf16le, utf16be, utf8, windows1252 };

class InfFile {
 public:
  // Errc::malformed with the line for a heading without ']', broken UTF-16 or NUL characters; Errc::too_large over
  // limits::kInf*. Text before the first heading is skipped. The bytes need not outlive it.
  static Result<InfFile> parse(ByteView bytes);

  InfEncoding encoding() const { return encoding_; }
  const std::vector<InfSection>& sections() const { return sections_; }   // in file order
  // Case is ignored. nullptr when there is none.
  const InfSection* section(std::string_view name) const;
  // The first line of that section with that key; nullptr when there is none. Keys are compared after substitution.
  const InfLine* line(std::string_view section_name, std::string_view key) const;

  // text with every %name% replaced from [Strings.0409] (English), [Strings.0009] or [Strings], and %% by %. What is
  // put in is not looked through again, so strings that name each other end. Names that are not there stay, with their
  // signs (%12% is a folder, not a string). Errc::too_large when the result has over limits::kAttributeTextBytes bytes.
  Result<std::string> expand(std::string_view text) const;

 private:
  friend class InfReader;
  InfFile() = default;

  InfEncoding encoding_{};
  std::vector<InfSection> sections_;
  std::unordered_map<std::string, std::size_t> section_index_;   // lower-case name -> sections_
  std::unordered_map<std::string, std::string> strings_;         // lower-case name -> value
};

}  // namespace formats
