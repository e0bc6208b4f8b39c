// Images up to the last byte that the 32-bit offsets of PE reach, and one byte more. They are sparse, but signed files are
// written in full: 4 GiB of disk, some minutes.
#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/base/limits.hpp"
#include "tests/interop/authenticode_fixture.hpp"
#include "tests/support/pe_builder.hpp"

namespace {

class LargeImages : public tests::Authenticode {
 protected:
  void SetUp() override { make_rsa(); }
  void make(const std::string& name, std::uint64_t size) const {
    tests::write_file(dir_ / name, tests::driver_of_size(0x2000));
    std::filesystem::resize_file(dir_ / name, size);   // the rest is an overlay of zeros
  }
  tests::Outcome sign(const std::string& in, const std::string& out) const {
    return test_signer({"--in", file(in), "--out", file(out)});
  }
};

TEST_F(LargeImages, AreSignedAndVerifiedUpTo4GiB) {
  make("small.sys", 0x2000);
  ASSERT_EQ(sign("small.sys", "small-signed.sys").status, 0);
  const std::uint64_t table = std::filesystem::file_size(dir_ / "small-signed.sys") - 0x2000;
  // The largest multiple of 8 below 4 GiB once it is signed; the last byte before padding is missing.
  const std::uint64_t largest = (base::limits::kFileBytes + 1) - 8 - table;
  make("largest.sys", largest - 3);
  const tests::Outcome done = sign("largest.sys", "signed.sys");
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_EQ(std::filesystem::file_size(dir_ / "signed.sys"), (base::limits::kFileBytes + 1) - 8);
  const tests::Outcome verified =
      tests::run_program({std::string(COLDSEAL_BIN_DIR) + "/coldseal", "verify", file("signed.sys"), "--trust", file("root.pem")});
  EXPECT_EQ(verified.status, 0) << verified.output;
  // Another opinion on the digest: Python's hashlib over the file as it lies there.
  const tests::Outcome referee = tests::run_program(
      {"python3", "-c",
       "import hashlib,struct,sys,json,subprocess\n"
       "p,c=sys.argv[1:]\nf=open(p,'rb');h=hashlib.sha256();head=f.read(0x1000)\n"
       "o=struct.unpack_from('<I',head,0x3c)[0]+24;d=o+144;va=struct.unpack_from('<I',head,d)[0]\n"
       "h.update(head[:o+64]);h.update(head[o+68:d]);h.update(head[d+8:]);at=len(head)\n"
       "while at<va:\n b=f.read(min(1<<22,va-at));h.update(b);at+=len(b)\n"
       "s=json.loads(subprocess.check_output([c,'signature','list','--json',p]))['signatures'][0]['digest']\n"
       "sys.exit(0 if s==h.hexdigest() else 1)",
       file("signed.sys"), std::string(COLDSEAL_BIN_DIR) + "/coldseal"});
  EXPECT_EQ(referee.status, 0) << referee.output;
  std::filesystem::remove(dir_ / "signed.sys");
  // 8 bytes more do not fit, and nothing is left behind.
  make("too-large.sys", largest + 1);
  const tests::Outcome refused = sign("too-large.sys", "no.sys");
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_FALSE(std::filesystem::exists(dir_ / "no.sys"));
}

TEST_F(LargeImages, Of4GiBAndMoreAreRefused) {
  for (const std::uint64_t size : {base::limits::kFileBytes + 1, 3 * base::limits::kFileBytes}) {
    make("image.sys", size);
    const tests::Outcome refused = sign("image.sys", "no.sys");
    EXPECT_EQ(refused.status, 1) << refused.output;
    EXPECT_FALSE(std::filesystem::exists(dir_ / "no.sys"));
    EXPECT_NE(tests::run_program({std::string(COLDSEAL_BIN_DIR) + "/coldseal", "verify", file("image.sys")}).status, 0);
  }
}

}  // namespace
