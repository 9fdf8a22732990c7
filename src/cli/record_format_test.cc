#include "cli/record_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/offset_spec.h"
#include "cli/output.h"
#include "cli/record_input.h"

namespace ottla::cli {
namespace {

using testing::HasSubstr;

PrintedRecord sample() {
  return {.topic = "t",
          .partition = 3,
          .offset = 42,
          .timestamp = 1000,
          .key = as_bytes("k"),
          .value = as_bytes("some value"),
          .headers = {{"a", as_bytes("1")}, {"b", std::nullopt}}};
}

std::string printed(std::string_view pattern, const PrintedRecord& record) {
  const auto parsed = RecordPattern::parse(pattern);
  if (!parsed) return "error: " + parsed.error();
  std::string text;
  parsed->print(record, text);
  return text;
}

TEST(RecordFormat, KnowsEachToken) {
  EXPECT_EQ(printed("%t %p %o %T %k %s %K %S %h %%\\t\\x41\\n", sample()),
            "t 3 42 1000 k some value 1 10 a=1,b=NULL %\tA\n");
}

TEST(RecordFormat, NullPrintsAsNothingAndItsLengthAsMinusOne) {
  PrintedRecord record = sample();
  record.key.reset();
  record.value = ByteView();
  EXPECT_EQ(printed("[%k|%s|%K|%S]", record), "[||-1|0]");
}

TEST(RecordFormat, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(printed("%q", sample()), HasSubstr("there is no %q"));
  EXPECT_THAT(printed("%", sample()), HasSubstr("lone %"));
  EXPECT_THAT(printed("\\", sample()), HasSubstr("lone backslash"));
  EXPECT_THAT(printed("\\x4", sample()), HasSubstr("two hexadecimal digits"));
  EXPECT_THAT(printed("\\q", sample()), HasSubstr("there is no \\q"));
  EXPECT_EQ(*unescape("a\\tb"), "a\tb");
}

TEST(RecordFormat, JsonGoesBackIntoTheSameRecord) {
  const std::uint8_t binary[] = {0xff, 0x00, 0x80};
  PrintedRecord record = sample();
  record.value = ByteView(binary);
  record.key = as_bytes("\"\\\n\x01 \xc3\xa4");
  const std::string json = record_as_json(record);
  EXPECT_THAT(json, HasSubstr("\"value_base64\":\"/wCA\""));
  const auto back = parse_json_line(json);
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(back->key, as_text(*record.key));
  EXPECT_EQ(back->value, as_text(*record.value));
  EXPECT_EQ(back->timestamp, 1000);
  EXPECT_EQ(back->partition, 3);
  ASSERT_EQ(back->headers.size(), 2u);
  EXPECT_EQ(back->headers[0].second, "1");
  EXPECT_FALSE(back->headers[1].second);
}

TEST(RecordInput, ALineIsCutAtTheFirstSeparator) {
  const LineRules rules{.key_separator = "::"};
  EXPECT_EQ(parse_line("k::v::w", rules), (InputRecord{.key = "k", .value = "v::w"}));
  EXPECT_EQ(parse_line("::v", rules), (InputRecord{.key = "", .value = "v"}));
  EXPECT_EQ(parse_line("v", rules), (InputRecord{.value = "v"}));
  EXPECT_EQ(parse_line("", {}), (InputRecord{.value = ""}));
  EXPECT_EQ(parse_line("k::", {.key_separator = "::", .empty_is_null = true}),
            (InputRecord{.key = "k"}));
}

TEST(RecordInput, JsonValuesThatAreNoTextAreSentAsJson) {
  EXPECT_EQ(parse_json_line(R"({"value":{"a":[1,null]}})")->value, R"({"a":[1,null]})");
  EXPECT_EQ(parse_json_line(R"({"key":7,"value":null})"), (InputRecord{.key = "7"}));
  for (const std::string_view bad :
       {"", "[]", "{", R"({"partition":"x"})", R"({"value_base64":"!"})", R"({"headers":{}})",
        R"({"headers":[{"value":"x"}]})"}) {
    EXPECT_FALSE(parse_json_line(bad)) << bad;
  }
}

TEST(OffsetSpec, KnowsWhereToBegin) {
  using Kind = OffsetSpec::Kind;
  EXPECT_EQ(*parse_offset_spec("start"), (OffsetSpec{Kind::start, 0}));
  EXPECT_EQ(*parse_offset_spec("beginning"), (OffsetSpec{Kind::start, 0}));
  EXPECT_EQ(*parse_offset_spec("end"), (OffsetSpec{Kind::end, 0}));
  EXPECT_EQ(*parse_offset_spec("17"), (OffsetSpec{Kind::absolute, 17}));
  EXPECT_EQ(*parse_offset_spec("-3"), (OffsetSpec{Kind::last, 3}));
  EXPECT_EQ(*parse_offset_spec("@1700000000000"), (OffsetSpec{Kind::timestamp, 1700000000000}));
  for (const std::string_view bad : {"", "x", "-", "@", "--3", "1x", "@-1"})
    EXPECT_FALSE(parse_offset_spec(bad)) << bad;
}

TEST(Output, TellsUtf8FromOtherBytes) {
  EXPECT_TRUE(is_utf8(as_bytes("")));
  EXPECT_TRUE(is_utf8(as_bytes("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")));
  for (const std::string_view bad : {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                                     "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xff", "a\xc3("}) {
    EXPECT_FALSE(is_utf8(as_bytes(bad)));
  }
}

TEST(Output, CommasStandWhereJsonWantsThem) {
  JsonWriter json;
  json.begin_object().field("a", 1).key("b").begin_array();
  json.value("x").begin_object().end_object().begin_array().end_array().value(true);
  json.end_array().field("c", 0.5).key("d").null().end_object();
  EXPECT_EQ(json.text(), R"({"a":1,"b":["x",{},[],true],"c":0.5,"d":null})");
}

TEST(Output, ColumnsAreAsWideAsTheirContent) {
  TextTable table({"A", "LONG"});
  table.add({"value", "x"});
  EXPECT_EQ(table.text(), "A      LONG\nvalue  x\n");
}

}  // namespace
}  // namespace ottla::cli
