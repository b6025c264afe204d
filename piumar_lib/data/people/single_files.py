"""SHA-256 of files that are downloaded one by one: data sets of few files in large repositories."""

from __future__ import annotations

SINGLE_FILES: dict[str, dict[str, str]] = {
    "utkinect": {
        "actionLabel_modified.txt": "41def25e61f5bdadc5bec675e3474c51bff571a406cac8cd46876f07f2a6e38a",
        "joints_s01_e01.txt": "0da51d699c1e38260af9ca998c7b2e08c9de7fffbac6df18ca5cab58b1af4964",
        "joints_s01_e02.txt": "89992a9a690bbc2c3d58304f425b225387940d15781231b8d2acb20664a9d9df",
        "joints_s02_e01.txt": "7eec2d5854b02a1f74e6b47340d054efe789063e0ee02246aae18f915466acbf",
        "joints_s02_e02.txt": "8e0d8eea09d9cadbfb1b7dddddb839949b70c4217985a0628269ddf98ff66841",
        "joints_s03_e01.txt": "ae798fcc1b9ab2c367c93202b6e9c52cd7e451bb638fdfc5714fd07770810b39",
        "joints_s03_e02.txt": "859e653b2694fc63c6042761c1458800a4dbbe652f53cd8cefe40baf23a700ea",
        "joints_s04_e01.txt": "3a1244f544cb9e7e4c5d72a074762d2f6cea856beaaf450d6f83a34d0e21c70b",
        "joints_s04_e02.txt": "a49291cae5b1e52ef8e82fb9f2b7cc0ae3879a34a1ae36aa6cc31761ebd381c4",
        "joints_s05_e01.txt": "0d5c896ca26c2e4529f2784298d5f29995e737cc8810be97c96a5f9d031bc13f",
        "joints_s05_e02.txt": "f6b0a48b4a1b40698e5de2250aaee1bcf10661a3c63f0f87ebbd4e4a1dd27b40",
        "joints_s06_e01.txt": "32dba66af4f043ca2893fd1be2149fa56615ba0f8270ac67513bb17fbc3369a4",
        "joints_s06_e02.txt": "8a9ebe1b9c2864e4b79a56dc46068530944f931397969631924f57fd06b44f5e",
        "joints_s07_e01.txt": "37ce62788ec931acf196feb0af6d99df520c02a2a90f73e15d46ab8e2c6f2d12",
        "joints_s07_e02.txt": "990db6d08abf2b04ea76a56f2c1350625ebb805cf6c530a7013a4af4cced0dc8",
        "joints_s08_e01.txt": "1e5ff82220c50137a12a2791d31e5baa89792df87b2df537cb0545b067a018fa",
        "joints_s08_e02.txt": "381beef2d90cf8de810fde2c9e1542323a624f73e548793bf3b83db5aee92efa",
        "joints_s09_e01.txt": "5198c949338b59289aac574d2dad69f40cb526a6626933d9a0032d2f5c9bcbd8",
        "joints_s09_e02.txt": "a3218ddb422df3a92051e3710e5cc482c857ed2e03600a2673272a7223907642",
        "joints_s10_e01.txt": "ca30ec6490d0b1b69cf0a4cf30c912092525911b65e802681b3eef8c2b0bcbb9",
        "joints_s10_e02.txt": "8abdf619da7388bd168469b43d653e230f4713df952aa68119242a1b436d0380",
    },
    "pendigits": {
        "pendigits-test": "ddb1c19e277a56c7ffe682cc024d6ab73696f9adcc1643ef9ed5aa753007e081",
        "pendigits-train": "a66225d68d7d68591e62944df1ad33b3f5aa608e2df2505844b41f5568a80da4",
    },
}
