// Reading one JSON object strictly: every field that is wanted is there, has its type and keeps its limit, and
// there is no other. Every error names the place, as "files[3]: size: not a whole number".
//   auto fields = TRY(Fields::of(value, "manifest"));
//   const std::string profile = TRY(fields.text("profile", 1, 64));
//   TRY(fields.expect_no_others());
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/digest.hpp"
#include "crypto/transparency/canonical_json.hpp"

namespace transparency {

class Fields {  // a view: the value must outlive it
 public:
  static base::Result<Fields> of(const Json& value, std::string where);

  // Length in bytes of UTF-8.
  base::Result<std::string> text(std::string_view name, std::size_t least, std::size_t most);
  base::Result<void> expect_text(std::string_view name, std::string_view wanted);
  base::Result<std::uint64_t> number(std::string_view name, std::uint64_t most);
  base::Result<base::Time> time(std::string_view name);                       // RFC 3339, UTC, whole seconds
  base::Result<base::Bytes> hex(std::string_view name, std::size_t bytes);    // lower case, exactly that many bytes
  base::Result<crypto::Digest> sha256(std::string_view name);
  base::Result<const Json::array_t*> list(std::string_view name, std::size_t least, std::size_t most);
  base::Result<Fields> object(std::string_view name);
  base::Result<std::optional<Fields>> object_or_null(std::string_view name);
  base::Result<void> expect_no_others() const;

  const std::string& where() const { return where_; }

 private:
  Fields(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}
  base::Result<const Json*> field(std::string_view name);
  tl::unexpected<base::Error> wrong(std::string_view name, std::string_view what) const;

  const Json* value_;
  std::string where_;
  std::set<std::string, std::less<>> taken_;
};

// 1 to limits::kNameBytes of A-Z a-z 0-9 . _ - : profiles, officers, submitters, key classes, OS targets.
bool is_name(std::string_view text);

}  // namespace transparency
