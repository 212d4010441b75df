/* Keys and tokens for tests: the examples of RFC 7515 (appendix A.1 to A.3), and keys
 * made for nothing else. */
#ifndef RB_TESTS_KEYS_H
#define RB_TESTS_KEYS_H

#define RFC7515_A1                                                                       \
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA"       \
    "4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB9"       \
    "2K27uhbUJU1p1r_wW1gFWFOEjXk"

#define RFC7515_A2                                                                       \
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA"       \
    "6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat"       \
    "0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t"       \
    "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07"       \
    "Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"       \
    "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77"       \
    "Rw"

#define RFC7515_A3                                                                       \
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA"       \
    "6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4Ga"       \
    "wxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

#define OCT_JWK                                                                          \
    "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"             \
    "1qS0gZH75aKtM"                                                                      \
    "N3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"

#define RSA_JWK                                                                          \
    "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"         \
    "wWJcyQoTbji9k"                                                                      \
    "0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpR"       \
    "PEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KX"       \
    "BdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyx"       \
    "XFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}"

#define EC_JWK                                                                           \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"                                           \
    "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                   \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"

#define KEYS_JWKS                                                                        \
    "{\"keys\":[{\"kid\":\"a\",\"kty\":\"oct\",\"k\":"                                   \
    "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJ"                                          \
    "QLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"},{\"kid\":\"b\",\"use\":\"sig\"," \
    "\"kt"                                                                               \
    "y\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"              \
    "wWJcyQoTbji9k0l8W"                                                                  \
    "26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwO"       \
    "WvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQO"       \
    "S-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvU"       \
    "K-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"},{\"kid\":\"c\""  \
    ",\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"                         \
    "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8"                                                  \
    "Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"

#define SECRET "a secret of thirty-two bytes: 32!"

#define SECRET_B64 "YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlczogMzIh"

#define OTHER_SECRET "another secret of thirty-two bytes"

#define OTHER_SECRET_B64 "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcw"

#define RSA_PRIVATE_PEM                                                                  \
    "-----BEGIN PRIVATE KEY-----\n"                                                      \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDV1w5qXKgVnIHT\n"                 \
    "1/LlExfXBupp1TDqAAnBTcgtzgjLN3veBsXzfiys8mj5hvmjkumrKrMqwQ9xgQuJ\n"                 \
    "w4V9gBY3YJPtsnbfuLz42ZPepcMSws4MUM2Q/0yA5iDKRXq5rc1MC16rw/n8kYqq\n"                 \
    "wRQmfJ60axQZiyi+E1KiB+9rKrKTXJIxpM3lfu09TV+qlyA5DT3mvcyvvHNON13/\n"                 \
    "s0xC3RLe3UirsIt0RrWSdFnvULQPC4TrGvBCCisNJWovyabDqhyk6pNfLDDXF659\n"                 \
    "NsB94KjOil4tfPAwJHdynkT/jlmKCaIlOWziOYkgZC+9L8YvTsMpdXLFDfBVdJtu\n"                 \
    "8GmLt+bjAgMBAAECggEAM+/jRu8RPgqAt+C71GqCQE4kMic/FZ6DwAjxxTpFBYKI\n"                 \
    "2cDAZGbxV+Ian/xp9pIwocuhr5ErfJBwqnmsGvK4sqOI2lMdrzHR6AkEcq/FBPH+\n"                 \
    "lJwtiXmQbcA3F5mveJifg8hBKqvTNEZvLRDvIXfkHgLh42BauWu9BrCxtFAvBj4k\n"                 \
    "Xg+3TWkAHOfLbdASXXGv7cMaEs/dRqRIdI9ENVlUBfQtFjNSFfEpDKEJiqKAy4A7\n"                 \
    "Awd/k2vOQ441gnmy+0SU2jmEj8x4K7Rq5/RMPnR1mXx7KCHdKD/FCWwtGecS8M6O\n"                 \
    "s1S45QpH8SSNYpU7YFNP3ijXV1Mg0+mRd/zCyxnPyQKBgQDzrvvIFGZEGD2zFaMa\n"                 \
    "9sg16nWsA0bAei+/P3JLKSS6Enjultd75Zx//pPWsg2ImbYQT5l4VHnvCB+xg0wJ\n"                 \
    "UN4JeKRcB4HmEQmlYaatZ4aNUaNZVYaYh4Wmr5kDUOagzLNC45eOOX1Jj1mLDE4X\n"                 \
    "K/pdQyJnbm+i3jXU/1ui2fW2uQKBgQDgpe3DaphPgAL8xQRbockKunpbdUnMfQtX\n"                 \
    "fXU8whuWsGNvO4NDBLe4FgCo4O34uYRYVmfAC41L3RCTiQxwrp/ow/A5ZV4LHVfv\n"                 \
    "UhzgnXH/aHGSL8RFiAmcDAJs87yPQW8+hXipY2QXC/7i4aazPey/nmf+Bu2Oi3Jx\n"                 \
    "hnB486P8ewKBgE3xMDNk4vjwz/tR9mOPf6ZPIegs/BpgepkvT/1eYZLqiae2s6G7\n"                 \
    "ZX1DDkJjnRSOJb+91ha43m9oJ8r9dfqc1QgugFO3SwMte+pb+5YHQPA+poLSakSr\n"                 \
    "REJ2c/itjbbtAoFojnc9SCeZJEjnXKrotCHUcVKn7ikn7gv8yXCjSoZxAoGAanQ2\n"                 \
    "x3Or2YB/6egyuHliG4NimBRsdEqNJVh+Rdx11mKfvAYnnYqOxN0oUt7D5imDXZkU\n"                 \
    "cR0IR/rp7//xtTQK8vJm08wFVJ8DHJV8ubPiYXXM28lm6MweQaQvQhH+OKR5Ytc8\n"                 \
    "5ogC1ikJD9p+dFHT7rnR7b66s+HAyas7gRVzkCECgYEApOx9GkqYC/MFsBvjNkPj\n"                 \
    "MsXAgJ0Ku5vyrO/nkDQn5Vz/e/vGRdsWhtWZoAXvw8bcn8KHPdNOc1n4cKGhRubo\n"                 \
    "fzahiHYXHk0vtLSs7hwY6y2Mb1cQmbCZn6KLfD9k47WalDdrEqrmMSs+gxKZZTEb\n"                 \
    "7t1KaFcvpCasdePXdBffR9Q=\n"                                                         \
    "-----END PRIVATE KEY-----\n"

#define RSA_PUBLIC_PEM                                                                   \
    "-----BEGIN PUBLIC KEY-----\n"                                                       \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1dcOalyoFZyB09fy5RMX\n"                 \
    "1wbqadUw6gAJwU3ILc4Iyzd73gbF834srPJo+Yb5o5LpqyqzKsEPcYELicOFfYAW\n"                 \
    "N2CT7bJ237i8+NmT3qXDEsLODFDNkP9MgOYgykV6ua3NTAteq8P5/JGKqsEUJnye\n"                 \
    "tGsUGYsovhNSogfvayqyk1ySMaTN5X7tPU1fqpcgOQ095r3Mr7xzTjdd/7NMQt0S\n"                 \
    "3t1Iq7CLdEa1knRZ71C0DwuE6xrwQgorDSVqL8mmw6ocpOqTXyww1xeufTbAfeCo\n"                 \
    "zopeLXzwMCR3cp5E/45ZigmiJTls4jmJIGQvvS/GL07DKXVyxQ3wVXSbbvBpi7fm\n"                 \
    "4wIDAQAB\n"                                                                         \
    "-----END PUBLIC KEY-----\n"

#define RSA1024_PUBLIC_PEM                                                               \
    "-----BEGIN PUBLIC KEY-----\n"                                                       \
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC9v8OUVhE7315enY8GE0KrOyfu\n"                 \
    "gmIh5zUxID6LGGlQ04Lc6oWsJbt5XJxxZf+d+tCf4zby6hvNOxAQCMJoqrX1bZ5i\n"                 \
    "4/qN/ByoKLRYqBNmoEjiqlmDEHZQ+PdEtWgtVE5nTUR9UXKsbdyDOT3NdkrH8T+r\n"                 \
    "nTl/r5c5453szDBPJQIDAQAB\n"                                                         \
    "-----END PUBLIC KEY-----\n"

#define EC_PARAMETERS_PEM                                                                \
    "-----BEGIN EC PARAMETERS-----\n"                                                    \
    "BggqhkjOPQMBBw==\n"                                                                 \
    "-----END EC PARAMETERS-----\n"

#define EC_PRIVATE_PEM                                                                   \
    "-----BEGIN EC PRIVATE KEY-----\n"                                                   \
    "MHcCAQEEIK49LFeQbDNyMj7OBztXiYSIissmq77S4TVcTg6BTrZMoAoGCCqGSM49\n"                 \
    "AwEHoUQDQgAE4J3vYkoXbnM7Rzj+XBcwuKcshsqPC67hFh31hzFuAvEbHCgcPpni\n"                 \
    "ZV/59Q1OEYMi0gfsYIWoWA79ZEBXA95myg==\n"                                             \
    "-----END EC PRIVATE KEY-----\n"

#define EC_PUBLIC_PEM                                                                    \
    "-----BEGIN PUBLIC KEY-----\n"                                                       \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4J3vYkoXbnM7Rzj+XBcwuKcshsqP\n"                 \
    "C67hFh31hzFuAvEbHCgcPpniZV/59Q1OEYMi0gfsYIWoWA79ZEBXA95myg==\n"                     \
    "-----END PUBLIC KEY-----\n"

#define EC384_PUBLIC_PEM                                                                 \
    "-----BEGIN PUBLIC KEY-----\n"                                                       \
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEP00hEpVkD9XmxcwBJac823/Bsk4GE0BR\n"                 \
    "sWhGu1UpJdoeyShFXxcd/BqWOwN7NzD16mTGUxUpRHOrYfRCksH79T4OTOyej1E5\n"                 \
    "RZ6LnVXELoWktoFD1w3TGziejEgsJnCy\n"                                                 \
    "-----END PUBLIC KEY-----\n"

#define EC_CERTIFICATE_PEM                                                               \
    "-----BEGIN CERTIFICATE-----\n"                                                      \
    "MIIBdTCCARugAwIBAgIUXdsNUYD/uOaAkQRifoN5nC61g38wCgYIKoZIzj0EAwIw\n"                 \
    "DzENMAsGA1UEAwwEc2hvcDAgFw0yNjExMjEyMzUzMjlaGA8yMTI2MTAyODIzNTMy\n"                 \
    "OVowDzENMAsGA1UEAwwEc2hvcDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOCd\n"                 \
    "72JKF25zO0c4/lwXMLinLIbKjwuu4RYd9YcxbgLxGxwoHD6Z4mVf+fUNThGDItIH\n"                 \
    "7GCFqFgO/WRAVwPeZsqjUzBRMB0GA1UdDgQWBBSXI21PiHus2MErWkT+AA+IW8HX\n"                 \
    "WjAfBgNVHSMEGDAWgBSXI21PiHus2MErWkT+AA+IW8HXWjAPBgNVHRMBAf8EBTAD\n"                 \
    "AQH/MAoGCCqGSM49BAMCA0gAMEUCIQDB+cP3kwolLdEsXyYT1Ll8QchA2Ofcxlvq\n"                 \
    "nEZOf00TzwIgZNzWTXZqS6OJNxP2Ku3wW2pBCsbE70UC+SpHxDFn794=\n"                         \
    "-----END CERTIFICATE-----\n"

#define ENCRYPTED_PEM                                                                    \
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"                                            \
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjBUK5bkGC/gAICCAAw\n"                 \
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJex8KES7Cyp6SRe15hBlSQEgZCY\n"                 \
    "x0A+CLBS9YubeN7Ju4uhjTEmeCKIG74jXy/GKrbyc/mGwPv0CwSUcJ5/irLRyWXJ\n"                 \
    "iUkeRNpbwxXFIWpMD/aB3/BjWupou1/a753Hm9kwNqBU2irYSeQ6rTbgQASHjv2i\n"                 \
    "+ih9Cg0qxHP0DLvv+QZGXGgGWZMV3cfVW4HyJYLToYPgi2wuaVE+wCj5DF55cbA=\n"                 \
    "-----END ENCRYPTED PRIVATE KEY-----\n"

#define EC_PUBLIC_DER                                                                    \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4J3vYkoXbnM7Rzj-XBcwuKcshsqPC67hFh31hzFu"       \
    "AvEbHCgcPpniZV_59Q1OEYMi0gfsYIWoWA79ZEBXA95myg"

#endif
