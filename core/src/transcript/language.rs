//! Languages as BCP 47 tags.

/// Names that Whisper gives languages (`whisper/tokenizer.py` in the repository openai/whisper lists them), with their
/// ISO 639 codes.
const NAMES: &str = "\
    english=en chinese=zh german=de spanish=es russian=ru korean=ko french=fr japanese=ja portuguese=pt \
    turkish=tr polish=pl catalan=ca dutch=nl arabic=ar swedish=sv italian=it indonesian=id hindi=hi finnish=fi \
    vietnamese=vi hebrew=he ukrainian=uk greek=el malay=ms czech=cs romanian=ro danish=da hungarian=hu tamil=ta \
    norwegian=no thai=th urdu=ur croatian=hr bulgarian=bg lithuanian=lt latin=la maori=mi malayalam=ml welsh=cy \
    slovak=sk telugu=te persian=fa latvian=lv bengali=bn serbian=sr azerbaijani=az slovenian=sl kannada=kn \
    estonian=et macedonian=mk breton=br basque=eu icelandic=is armenian=hy nepali=ne mongolian=mn bosnian=bs \
    kazakh=kk albanian=sq swahili=sw galician=gl marathi=mr punjabi=pa sinhala=si khmer=km shona=sn yoruba=yo \
    somali=so afrikaans=af occitan=oc georgian=ka belarusian=be tajik=tg sindhi=sd gujarati=gu amharic=am \
    yiddish=yi lao=lo uzbek=uz faroese=fo haitian_creole=ht pashto=ps turkmen=tk nynorsk=nn maltese=mt \
    sanskrit=sa luxembourgish=lb myanmar=my tibetan=bo tagalog=tl malagasy=mg assamese=as tatar=tt hawaiian=haw \
    lingala=ln hausa=ha bashkir=ba javanese=jw sundanese=su cantonese=yue";

/// The tag for what a provider calls the language: a tag already, with an underscore, or an English name.
pub(super) fn tag(language: &str) -> Option<String> {
    let language = language.trim().replace('_', "-");
    let lower = language.to_lowercase();
    let name = lower.replace(' ', "_");
    let mut names = NAMES.split_whitespace().filter_map(|pair| pair.split_once('='));
    if let Some((_, code)) = names.find(|(known, _)| *known == name) {
        return Some(code.to_owned());
    }
    let mut parts = language.split('-');
    let is_language = parts
        .next()
        .is_some_and(|part| matches!(part.len(), 2 | 3) && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let is_rest = |part: &str| matches!(part.len(), 1..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_language && parts.all(is_rest)).then_some(language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_are_told_apart() {
        for (given, expected) in [
            ("english", Some("en")),
            ("English", Some("en")),
            ("en", Some("en")),
            ("en-US", Some("en-US")),
            ("pt_BR", Some("pt-BR")),
            ("haitian creole", Some("ht")),
            ("auto", None),
            ("", None),
            ("x", None),
            ("en--", None),
        ] {
            assert_eq!(tag(given).as_deref(), expected, "{given}");
        }
    }
}
